# SPDX-License-Identifier: GPL-3.0-or-later
#
# The programs and their tests by clang, counting which lines of format/ and src/ are reached:
#
#     make -f tests/coverage.mk CC=clang-19 WOLFSSL=FOLDER
#
# Beside the build by Zig, whose clang comes without the runtime that keeps the counters. Which
# files a program is made of is as in build.zig. Tests and tools are not counted.
#
# The counters lie in a mapped file from the start of a process on (%c in LLVM_PROFILE_FILE), so
# that what a kill -9 or a broken ensure() ends counts too, and nothing is opened in a sandbox.
OUT := zig-out/coverage
CC ?= clang
COUNTED := -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
CFLAGS := -std=c17 -D_GNU_SOURCE -O1 -gline-tables-only -fno-omit-frame-pointer -march=x86-64-v3 \
    -MMD -fvisibility=hidden -fPIE -w -DRINGTAPE_COMMIT='"coverage"' -I. -Isrc -Itests \
    $(if $(WOLFSSL),-DRINGTAPE_WOLFSSL_BUNDLED=1 -isystem $(WOLFSSL)/include)
WOLFSSL_LIB := $(if $(WOLFSSL),$(WOLFSSL)/lib/libwolfssl.a,-lwolfssl)
LIBS := $(WOLFSSL_LIB) $(if $(filter x86_64,$(shell uname -m)),-lIPSec_MB) -lzstd -lxxhash \
    -lrdkafka -lyaml -lmicrohttpd -lpthread -lm
TOOL_LIBS := -lncursesw -ltinfo -lcurl -lzip -lisal -lcrypto

RING := $(wildcard src/io/io_uring*.c)
ROOMS := $(filter-out src/control/main.c $(RING),$(wildcard format/*.c src/*/*.c))
SUPPORT := $(filter-out %_test.c %_main.c,$(wildcard tests/*.c))
CONTRACT := $(wildcard tests/io_contract_*.c)
TOOLS := $(wildcard tools/ringtape_*.c tools/exchange_sim_*.c tools/replay_*.c)
LIFE := $(wildcard tests/simulation/*.c) $(filter-out %_test.c,$(wildcard \
    $(patsubst %,tests/%*.c,complete_life io_sim market_peer market_tls market_upbit sim_store \
    scripted_producer)))

object = $(patsubst %.c,$(OUT)/object/%.o,$(1))
counted = $(patsubst %.c,$(OUT)/counted/%.o,$(1))
plain = $(patsubst %.c,$(OUT)/plain/%.o,$(1))

PROGRAMS := $(addprefix $(OUT)/bin/,ringtaped ringtape ringtape-replay exchange-sim) \
    $(addprefix $(OUT)/test/,unit_test uring_test simulation)

all: $(PROGRAMS)

$(OUT)/counted/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(COUNTED) -c $< -o $@

$(OUT)/object/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c $< -o $@

# As in build.zig: here Criterion's header is one that has no tests.
$(OUT)/plain/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Itests/simulation/plain -c $< -o $@

$(OUT)/uring/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DRINGTAPE_IO_URING=1 -c $< -o $@

# Of an archive only what is asked for is linked, so a program counts what it uses.
$(OUT)/rooms.a: $(call counted,$(ROOMS))
$(OUT)/ring.a: $(call counted,$(RING))
$(OUT)/tools.a: $(call object,$(TOOLS))
$(OUT)/%.a:
	rm -f $@
	ar crs $@ $^

# Object files, then archives in the order of dependency.
link = @mkdir -p $(@D)
link += && $(CC) -fprofile-instr-generate -pie $(filter %.o,$^) -Wl,--start-group \
    $(filter %.a,$^) -Wl,--end-group

$(OUT)/bin/ringtaped: $(call counted,src/control/main.c $(ROOMS) $(RING))
	$(link) $(LIBS) -ljemalloc -luring -o $@

$(OUT)/bin/ringtape: $(call object,tools/ringtape.c $(wildcard tools/ringtape_*.c)) $(OUT)/rooms.a
	$(link) $(LIBS) $(TOOL_LIBS) -o $@

$(OUT)/bin/ringtape-replay: $(call object,tools/replay.c) $(OUT)/tools.a $(OUT)/rooms.a \
    $(OUT)/ring.a
	$(link) $(LIBS) -luring -o $@

$(OUT)/bin/exchange-sim: $(call object,$(wildcard tools/exchange_sim*.c)) $(OUT)/rooms.a \
    $(OUT)/ring.a
	$(link) $(LIBS) -luring -o $@

$(OUT)/test/unit_test: $(call object,$(wildcard tests/*_test.c) $(SUPPORT)) \
    $(call counted,$(ROOMS)) $(OUT)/tools.a
	$(link) $(LIBS) $(TOOL_LIBS) -lcriterion -o $@

$(OUT)/test/uring_test: $(patsubst %.c,$(OUT)/uring/%.o,$(CONTRACT)) $(OUT)/rooms.a $(OUT)/ring.a
	$(link) $(LIBS) -luring -lcriterion -o $@

$(OUT)/test/simulation: $(call plain,$(LIFE)) $(call counted,$(ROOMS))
	$(link) $(LIBS) -o $@

.SECONDARY:
-include $(wildcard $(OUT)/counted/*/*.d $(OUT)/counted/*/*/*.d $(OUT)/object/*/*.d \
    $(OUT)/plain/*/*.d $(OUT)/plain/*/*/*.d $(OUT)/uring/*/*.d)
