# SPDX-License-Identifier: GPL-3.0-or-later
#
# The fuzzers by clang and libFuzzer, under its address and undefined behaviour sanitizers:
#
#     make -f tests/fuzz/libfuzzer.mk CC=clang-19 WOLFSSL=FOLDER zig-out/libfuzzer/json_fuzz
#
# Beside the build by Zig, whose clang comes without the runtimes of either. What is compiled is
# what build.zig gives a fuzzer: all rooms without their outermost files, the support of the unit
# tests with the simulated io, the toolbox.
OUT := zig-out/libfuzzer
CC ?= clang
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
CFLAGS := -std=c17 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -march=x86-64-v3 -MMD \
    -fvisibility=hidden -Wall -Wno-string-conversion -I. -Isrc -Itests \
    $(if $(WOLFSSL),-DRINGTAPE_WOLFSSL_BUNDLED=1 -isystem $(WOLFSSL)/include) $(SANITIZE)
LIBS := $(if $(WOLFSSL),$(WOLFSSL)/lib/libwolfssl.a,-lwolfssl) -lzstd -lxxhash -lrdkafka -lyaml \
    -lmicrohttpd -lpthread -lm -lncursesw -ltinfo \
    $(if $(filter x86_64,$(shell uname -m)),-lIPSec_MB)

SOURCES := $(filter-out src/control/main.c src/io/io_uring.c src/io/io_uring_probe.c, \
    $(wildcard format/*.c src/*/*.c)) \
    $(filter-out %_test.c %_main.c,$(wildcard tests/*.c)) \
    $(filter-out tools/ringtape_backfill_http.c tools/ringtape_backfill_fetch.c \
    tools/ringtape_backfill_zip.c,$(wildcard tools/ringtape_*.c)) $(wildcard tools/exchange_sim_*.c)
OBJECTS := $(SOURCES:%.c=$(OUT)/object/%.o)

all: $(patsubst tests/fuzz/%.c,$(OUT)/%,$(wildcard tests/fuzz/*_fuzz.c))

# Counted for libFuzzer, as its own main() must not be in every object.
$(OUT)/object/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

$(OUT)/libringtape_fuzz.a: $(OBJECTS)
	rm -f $@
	ar crs $@ $(OBJECTS)

$(OUT)/%_fuzz: tests/fuzz/%_fuzz.c $(OUT)/libringtape_fuzz.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer $< -Wl,--start-group $(OUT)/libringtape_fuzz.a \
	    -Wl,--end-group $(LIBS) -o $@

.SECONDARY:
-include $(OBJECTS:.o=.d)
