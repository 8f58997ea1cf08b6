// SPDX-License-Identifier: GPL-3.0-or-later
//
// log_messages: everything the daemon can log, once: room, level, what happened, and what the
// person who reads it has to do. docs/operating.md has the same table; a test compares both ways.
//
// Errors and warnings carry their remedy in the line; one that begins with "nothing" says why.
// Nothing has to be done about what is only told (info, debug), so there the remedy is "".
#ifndef RINGTAPE_BASE_LOG_MESSAGES_H
#define RINGTAPE_BASE_LOG_MESSAGES_H

// LOG_<name>, LOG_ROOM_<room>, LOG_LEVEL_<level>, message, remedy; by room, in the order of a life.
#define LOG_MESSAGES(MESSAGE)                                                                      \
    MESSAGE(RUNS, CONTROL, INFO, "ringtaped runs", "")                                             \
    MESSAGE(ENDS, CONTROL, INFO, "ringtaped ends", "")                                             \
    MESSAGE(ENDS_SHORT, CONTROL, ERROR,                                                            \
            "ringtaped ends, and not everything that arrived became durable",                      \
            "see the lines before: a full, slow or failing disk of the store")                     \
    MESSAGE(STORE_UNUSABLE, CONTROL, ERROR, "the store cannot be used",                            \
            "by the cause: one ringtaped a store, permissions, room, `ringtape recover`")          \
    MESSAGE(KERNEL_LACKS, CONTROL, ERROR, "the kernel lacks what ringtaped needs",                 \
            "as the cause says; `ringtape doctor` shows everything at once")                       \
    MESSAGE(ROOT, CONTROL, WARNING, "ringtaped runs as root",                                      \
            "a user of its own (User=ringtape); where root is meant: security.root: on")           \
    MESSAGE(SANDBOX_FAILED, CONTROL, ERROR, "ringtaped cannot lock itself in",                     \
            "by the cause; without it: security.seccomp: off or security.landlock: off")           \
    MESSAGE(LANDLOCK_NONE, CONTROL, INFO, "the kernel has no Landlock", "")                        \
    MESSAGE(SHARD_UNSTARTED, CONTROL, ERROR, "a shard cannot be started",                          \
            "more memory or threads (MemoryMax, TasksMax), or fewer shards")                       \
    MESSAGE(SEALER_UNSTARTED, CONTROL, ERROR, "the sealer cannot be started",                      \
            "more memory or threads (MemoryMax, TasksMax), or fewer shards")                       \
    MESSAGE(MIRROR_UNSTARTED, CONTROL, ERROR, "the Kafka mirror cannot be started",                \
            "by the cause: `kafka` in the configuration, the files in STORE/mirror")               \
    MESSAGE(STATISTICS_UNSTARTED, CONTROL, ERROR, "the statistics cannot be started",              \
            "by the cause: a free address in http.listen, or http: off")                           \
    MESSAGE(SINKS_UNSTARTED, CONTROL, ERROR, "alert_sinks cannot be started",                      \
            "by the cause: alert_sinks in the configuration")                                      \
    MESSAGE(SIGNALS_UNSTARTED, CONTROL, ERROR, "no thread for signals",                            \
            "more threads (TasksMax), then start again")                                           \
    MESSAGE(CONFIG_READ, CONTROL, INFO, "configuration read again", "")                            \
    MESSAGE(CONFIG_REFUSED, CONTROL, ERROR, "the new configuration is not used",                   \
            "mend what the cause names, then `ringtape reload`; the old one goes on until then")   \
    MESSAGE(CONFIG_RESTART, CONTROL, WARNING, "a part of the configuration needs a restart",       \
            "restart when it suits; everything else of it is in use")                              \
    MESSAGE(RULES_CHANGED, CONTROL, INFO, "rules of alerts have changed", "")                      \
    MESSAGE(TAPES_END, CONTROL, INFO, "tapes end now, to be sealed", "")                           \
    MESSAGE(SHARD_DEAF, CONTROL, ERROR, "a shard does not take its commands",                      \
            "`ringtape reload` once more; if it stays so, restart")                                \
    MESSAGE(SHARD_STILL, CONTROL, ERROR, "a shard does not move",                                  \
            "nothing: systemd restarts ringtaped; if it comes again, look for a stuck disk")       \
    MESSAGE(SHARD_HANGS, CONTROL, ERROR, "a shard hangs: ringtaped ends, to be started again",     \
            "nothing where it is started again; if it comes again, look for a stuck disk")         \
    MESSAGE(SHARD_LATE, CONTROL, ERROR, "a shard did not end in time",                             \
            "look for a slow or stuck disk; what was acknowledged is durable")                     \
    MESSAGE(SEALER_LATE, CONTROL, WARNING, "the sealer did not end in time",                       \
            "nothing: its step is done again at the next start")                                   \
    MESSAGE(MIRROR_LATE, CONTROL, WARNING, "the Kafka mirror did not end in time",                 \
            "nothing: what it had under way is sent again at the next start")                      \
    MESSAGE(LINES_LOST, CONTROL, WARNING, "log lines were lost",                                   \
            "nothing else was lost; see why whoever reads the log is slow, or its disk full")      \
    MESSAGE(FEED_ADDED, FEED, INFO, "feed added", "")                                              \
    MESSAGE(FEED_CHANGED, FEED, INFO, "feed changed", "")                                          \
    MESSAGE(FEED_REMOVED, FEED, INFO, "feed removed", "")                                          \
    MESSAGE(FEED_FAILED, FEED, ERROR, "a feed cannot be recorded",                                 \
            "by the cause: ca_file, max_links, more shards or memory; then `ringtape reload`")     \
    MESSAGE(LIST_EMPTY, FEED, WARNING, "the exchange lists nothing that trades",                   \
            "check rest_url; the list is asked for again every list_interval")                     \
    MESSAGE(LIST_FAILED, FEED, WARNING, "instruments could not be had",                            \
            "by the cause: rest_url, network, the exchange; it is asked again by itself")          \
    MESSAGE(KEYS_MISSING, FEED, ERROR, "copies and holes of some symbols are not told apart",      \
            "more shards, or fewer symbols and channels; then restart")                            \
    MESSAGE(UNKNOWN_KEY, FEED, WARNING, "unknown key in messages",                                 \
            "nothing is lost: whole messages are in the raw channel; look for a newer ringtape")   \
    MESSAGE(LINK_UP, LINK, INFO, "link up", "")                                                    \
    MESSAGE(LINK_STATE, LINK, DEBUG, "link state", "")                                             \
    MESSAGE(LINK_ENDS, LINK, INFO, "the exchange will close this link: a new one is opened", "")   \
    MESSAGE(LINK_DOWN, LINK, WARNING, "link down",                                                 \
            "nothing if it stays alone, it comes back by itself; else by the cause")               \
    MESSAGE(LINK_NONE, LINK, ERROR, "no link could be opened",                                     \
            "more shards or memory; then `ringtape reload`")                                       \
    MESSAGE(CLOCK_STEPPED, LINK, WARNING, "the clock stepped",                                     \
            "receive times around it are off; let a time daemon slew the clock, not step it")      \
    MESSAGE(CLOCK_BEHIND, LINK, WARNING, "this machine's clock is behind the exchange's",          \
            "let a time daemon slew it: `chronyc tracking`, `timedatectl timesync-status`")        \
    MESSAGE(CLOCK_AHEAD, LINK, WARNING,                                                            \
            "this machine's clock is ahead of the exchange's, or the way lags",                    \
            "check the clock (`chronyc tracking`); if it is right, network, load, the exchange")   \
    MESSAGE(CLOCK_AGREES, LINK, INFO, "this machine's clock and the exchange's agree again", "")   \
    MESSAGE(COVERAGE_KNOWN, REPAIR, INFO, "coverage is known", "")                                 \
    MESSAGE(COVERAGE_UNREADABLE, REPAIR, ERROR, "coverage cannot be read",                         \
            "`ringtape verify`, then `ringtape recover`; by the cause more memory")                \
    MESSAGE(CANDLES_UNREADABLE, REPAIR, ERROR, "open candles cannot be read",                      \
            "`ringtape verify`, then `ringtape recover`; by the cause more memory; it is tried "   \
            "again by itself")                                                                     \
    MESSAGE(CANDLES_UNHELD, REPAIR, WARNING,                                                       \
            "more trades came while open candles were read than can wait",                         \
            "`ringtape candles` for the minutes before; a faster disk, or more shards")            \
    MESSAGE(LEDGER_UNREADABLE, REPAIR, ERROR,                                                      \
            "a file of the ledger cannot be read; coverage is read from the rows instead",         \
            "nothing: it is written anew; if it comes again, the disk (`dmesg`, SMART)")           \
    MESSAGE(LEDGER_UNWRITTEN, REPAIR, WARNING, "the ledger cannot be written",                     \
            "free space on, or mend, the disk of the store; the next start reads more rows")       \
    MESSAGE(REST_FAILS, REPAIR, WARNING, "the exchange does not answer questions about holes",     \
            "by the cause: rest_url, network, the exchange; holes stay listed, asked for again")   \
    MESSAGE(REST_ANSWERS, REPAIR, INFO, "the exchange answers again", "")                          \
    MESSAGE(REPAIR_NONE, REPAIR, ERROR, "holes cannot be repaired",                                \
            "more memory or fewer feeds, then restart; holes stay listed")                         \
    MESSAGE(TAPE_FAILS, STORE, ERROR, "the tape cannot be written",                                \
            "free space on, or mend, the disk of the store; capture goes on, loss is listed")      \
    MESSAGE(TAPE_WRITTEN, STORE, INFO, "the tape is written again", "")                            \
    MESSAGE(TAPE_DAMAGED, STORE, ERROR,                                                            \
            "tape damaged; the rest is sealed, the file is kept in quarantine/",                   \
            "check the disk (`dmesg`, SMART); delete the file when nobody wants to look at it")    \
    MESSAGE(TAPE_GOES, STORE, WARNING,                                                             \
            "a sealed tape goes for want of room; who has not read it reads its segments",         \
            "free space on the disk of the store, or get the mirror to Kafka going")               \
    MESSAGE(SEALING_FAILED, STORE, ERROR, "sealing failed, trying again",                          \
            "by the cause: room, permissions, the disk; tapes hold everything until it succeeds")  \
    MESSAGE(MERGE_FAILED, STORE, ERROR, "segment cannot be merged",                                \
            "`ringtape verify` shows what is damaged, `ringtape recover` makes it whole")          \
    MESSAGE(CATALOGUE_FULL, STORE, ERROR, "the catalogue is full",                                 \
            "delete old days (`keep`), then `ringtape reload`; tapes hold everything until then")  \
    MESSAGE(FILE_STAYS, STORE, WARNING, "a file that is not needed any more cannot be removed",    \
            "by the cause: permissions, the disk; it is removed at the next start")                \
    MESSAGE(HISTORY_TAKEN, STORE, INFO, "history taken in", "")                                    \
    MESSAGE(HISTORY_FAILED, STORE, ERROR, "history cannot be taken in, trying again",              \
            "by the cause: room, permissions, the disk of the store")                              \
    MESSAGE(HISTORY_REFUSED, STORE, WARNING, "history refused",                                    \
            "start the backfill again: it makes anew what was refused")                            \
    MESSAGE(DATA_DELETED, STORE, INFO, "data deleted", "")                                         \
    MESSAGE(EXPORT_UNREADABLE, STORE, ERROR,                                                       \
            "an export's state cannot be read: nothing is deleted",                                \
            "run that export again, or remove the file if it is given up")                         \
    MESSAGE(EXPORT_LATE, STORE, WARNING,                                                           \
            "an export has not run for days; what it has not exported is never deleted",           \
            "run that export again, or remove the file if it is given up")                         \
    MESSAGE(DISK_LOW, STORE, ERROR,                                                                \
            "the disk is nearly full; what `keep` allows to delete goes, then channels pause",     \
            "free space, or set `keep`; nothing has to be restarted")                              \
    MESSAGE(CHANNEL_PAUSED, STORE, ERROR,                                                          \
            "a channel pauses: it is not recorded until there is room",                            \
            "free space at once, or set `keep`; it resumes by itself")                             \
    MESSAGE(CHANNEL_RESUMED, STORE, WARNING, "a channel is recorded again",                        \
            "nothing: what was missed is listed; see that there stays room")                       \
    MESSAGE(DISK_WELL, STORE, INFO, "the disk has room again", "")                                 \
    MESSAGE(DAY_CLOSED, STORE, INFO, "day closed", "")                                             \
    MESSAGE(DAY_CHANGED, STORE, INFO, "closed day changed", "")                                    \
    MESSAGE(DAYS_UNMARKED, STORE, WARNING, "closed days are not marked, trying again in a minute", \
            "by the cause: room, permissions, the disk of the store")                              \
    MESSAGE(DAY_UNREADABLE, STORE, ERROR, "a day's marker cannot be read",                         \
            "delete the file, and the day is judged anew; check the disk (`dmesg`, SMART)")        \
    MESSAGE(STATISTICS_UNWRITTEN, STORE, WARNING, "the statistics page cannot be written",         \
            "room or permissions there; recording goes on, `ringtape status` shows what was")      \
    MESSAGE(MIRROR_ROWS_LOST, KAFKA, ERROR, "stored rows cannot be mirrored",                      \
            "consumers read them from the store where they are whole: `ringtape cat`, `export`")   \
    MESSAGE(MIRROR_UNSAVED, KAFKA, ERROR, "the mirror's state cannot be written",                  \
            "room or permissions in STORE/mirror; after a restart more is sent twice")             \
    MESSAGE(PRODUCER_NONE, KAFKA, ERROR, "no Kafka producer can be made; tried again",             \
            "by the cause: `kafka` in the configuration, memory")                                  \
    MESSAGE(PRODUCER_ANEW, KAFKA, WARNING, "the Kafka producer is made anew",                      \
            "nothing: what is not confirmed is sent again; often: the log of the brokers")         \
    MESSAGE(KAFKA_UNREACHED, KAFKA, WARNING, "Kafka is not reached; what is stored waits",         \
            "by the cause: brokers, network, kafka.brokers; it catches up by itself")              \
    MESSAGE(KAFKA_WARNS, KAFKA, WARNING, "librdkafka warns",                                       \
            "nothing if it stays alone; else as for brokers that are not reached")                 \
    MESSAGE(KAFKA_SAYS, KAFKA, INFO, "librdkafka says", "")                                        \
    MESSAGE(LETTER_KEPT, KAFKA, ERROR, "Kafka refused a message for good; it is kept",             \
            "mend the cause (topic, size, permission), then `ringtape mirror retry`")              \
    MESSAGE(LETTERS_UNKEPT, KAFKA, ERROR, "refused messages cannot be kept; the mirror waits",     \
            "room or permissions in STORE/mirror; it goes on by itself")                           \
    MESSAGE(LETTERS_UNOPENED, KAFKA, ERROR, "the list of refused messages cannot be opened",       \
            "room or permissions in STORE/mirror; it goes on by itself")                           \
    MESSAGE(LETTERS_UNSENT, KAFKA, ERROR, "refused messages cannot be sent again",                 \
            "by the cause: memory, the file in STORE/mirror; then `ringtape mirror retry`")        \
    MESSAGE(ALERT_UNDELIVERED, ALERTS, WARNING, "an alert was not delivered; it is in the store",  \
            "mend the receiver; `ringtape cat --channel alert --from -1h` shows it")               \
    MESSAGE(REPORTS_NONE, REPORTS, WARNING, "reports of days are not made",                        \
            "install the program ringtape beside ringtaped, or configure report: off")             \
    MESSAGE(REPORT_UNSTARTED, REPORTS, WARNING, "a report cannot be started",                      \
            "nothing: it is tried again in ten minutes; by hand: `ringtape report --refresh`")     \
    MESSAGE(REPORT_UNMADE, REPORTS, WARNING, "a day's report was not made",                        \
            "nothing: it is tried again in ten minutes; by hand: `ringtape report --refresh`")     \
    MESSAGE(REPORT_PARTIAL, REPORTS, WARNING, "a day's report is not whole",                       \
            "stored rows are damaged, the report says where: `ringtape verify`, then `recover`")

enum log_message {
#define LOG_MESSAGE_NAME(name, room, level, text, remedy) LOG_##name,
    LOG_MESSAGES(LOG_MESSAGE_NAME)
#undef LOG_MESSAGE_NAME
        LOG_MESSAGE_COUNT,
};

#endif
