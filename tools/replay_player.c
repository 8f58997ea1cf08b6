// SPDX-License-Identifier: GPL-3.0-or-later
//
// Slices follow each other; between two there is no wait unless the reader is behind.
#include "tools/replay_player.h"

#include <errno.h>

#include "format/ensure.h"

void replay_player_open(struct replay_player *player, struct replay_reader *reader,
                        int64_t speed_thousandths, bool loop)
{
    ensure(speed_thousandths >= 0);
    *player = (struct replay_player){
        .reader = reader, .speed_thousandths = speed_thousandths, .loop = loop};
    const struct replay_extent extent = replay_reader_extent(reader);
    player->clock_ns = player->marked_ns = player->told_ns = extent.time_first;
}

void replay_player_start(struct replay_player *player, int64_t now_ns)
{
    ensure(!player->started);
    player->started = true;
    player->start_ns = now_ns;
}

// The next slice. False: not yet, or the end.
static bool player_slice(struct replay_player *player, int64_t now_ns)
{
    if (player->slice != NULL && player->slice->last) {
        player->error = player->slice->error;
        // A lap without rows would be the same moment again and again.
        if (!player->loop || player->error != 0 || !player->based) {
            player->ended = true;
            return false;
        }
        replay_reader_rewind(player->reader);
        player->slice = NULL;
        player->laps++;
        player->based = false;
        player->start_ns = now_ns;
        return false;
    }
    struct replay_slice *slice = replay_reader_take(player->reader);
    if (slice == NULL) return false;
    if (player->prepare != NULL && !player->prepare(player->prepare_context, slice)) {
        player->error = -ENOMEM;
        player->ended = true;
        return false;
    }
    player->slice = slice;
    player->next = 0;
    return true;
}

static int64_t player_due(const struct replay_player *player, int64_t due_ns)
{
    return player->start_ns + (int64_t)((__int128)(due_ns - player->base_ns) * 1000 /
                                        player->speed_thousandths);
}

int64_t replay_player_next(struct replay_player *player, int64_t now_ns,
                           const struct replay_entry **entry)
{
    ensure(player->started);
    if (player->ended) return REPLAY_ENDED;
    while (player->slice == NULL || player->next == player->slice->count)
        if (!player_slice(player, now_ns)) return player->ended ? REPLAY_ENDED : REPLAY_NOT_YET;
    *entry = &player->slice->entries[player->next];
    if (!player->based) {
        player->based = true;
        player->base_ns = (*entry)->due_ns;
        // Reading the first slice is no lateness.
        if (player->laps == 0 && player->played == 0) player->start_ns = now_ns;
    }
    if (player->speed_thousandths == 0) return 0;
    const int64_t wait_ns = player_due(player, (*entry)->due_ns) - now_ns;
    return wait_ns > 0 ? wait_ns : 0;
}

void replay_player_pass(struct replay_player *player, const struct replay_entry *entry,
                        int64_t now_ns)
{
    ensure(player->next < player->slice->count);
    if (player->speed_thousandths != 0)
        histogram_add(&player->late, now_ns - player_due(player, entry->due_ns));
    if (now_ns - player->marked_at_ns >= REPLAY_TOLD_AFTER_NS) {
        player->told_ns = player->marked_ns;
        player->marked_ns = player->clock_ns;
        player->marked_at_ns = now_ns;
    }
    if (entry->due_ns > player->clock_ns) player->clock_ns = entry->due_ns;
    player->next++;
    player->played++;
}

int64_t replay_player_told_ns(const struct replay_player *player, int64_t now_ns)
{
    const int64_t age_ns = now_ns - player->marked_at_ns; // nothing may have been played since
    if (age_ns >= 2 * REPLAY_TOLD_AFTER_NS) return player->clock_ns;
    return age_ns >= REPLAY_TOLD_AFTER_NS ? player->marked_ns : player->told_ns;
}
