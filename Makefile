# weir: build, test, demo, bench. `make help` lists the targets.
#
# Knobs: MODE=release|debug  CC=gcc|clang  OPT=-O3  SAN=address,undefined|thread  V=1
# SHARE=build/release: take the parts that compute nothing from that build, which must be there.
# The library is built once per instruction set (LEVELS); the dynamic linker chooses at start.

MODE   ?= release
CC      = gcc
CXX     = $(if $(findstring clang,$(CC)),clang++,g++)
OPT    ?= $(if $(filter debug,$(MODE)),-O1,-O3)
SAN    ?=
V      ?= 0
NVCC   ?= $(shell command -v nvcc 2>/dev/null)
PREFIX ?= /usr/local
LEVELS ?= v3 v4
VERSION := 0.1.0

comma := ,
NAME  := $(MODE)$(if $(filter-out gcc,$(CC)),-$(notdir $(CC)))$(if $(filter-out -O3,$(OPT)),$(OPT))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
B     := build/$(NAME)
S     := $(or $(SHARE),$(B))

WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
# No SLP vectoriser: gcc 12's drops the rounding of (double)(float)x where two stand side by side,
# from -O2 on (tests/unit/test_float.c shows it). Loops are still vectorised.
FLOAT := -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-tree-slp-vectorize
SANF  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
BASE  := -D_GNU_SOURCE -DXXH_INLINE_ALL -g -fPIC -pthread $(FLOAT) $(SANF) $(if $(filter debug,$(MODE)),,-DWEIR_RELEASE)
CFLAGS_ALL   = -std=c17 $(OPT) $(WARN) $(BASE) -I. -I$(B) $(CFLAGS)
# Two of clang's C++ checks need a run-time library that a program linked as C has not.
SANXX := $(if $(SAN),$(if $(findstring clang,$(CXX)),-fno-sanitize=function$(comma)vptr))
CXXFLAGS_ALL = -std=c++17 $(OPT) -Wall -Wextra $(BASE) $(SANXX) -fno-exceptions -fno-rtti -I. $(CXXFLAGS)
# Within a file, the library calls and inlines its own functions though a program could replace them.
LIBF    := -fno-semantic-interposition
ARCH_v3 := -march=x86-64-v3 $(LIBF)
ARCH_v4 := -march=x86-64-v4 -mprefer-vector-width=512 $(LIBF)
HDF5_CFLAGS := $(shell pkg-config --cflags hdf5 2>/dev/null)
HDF5_LIBS   := $(shell pkg-config --libs hdf5 2>/dev/null || echo -lhdf5)

# What knows libhdf5 is loaded by the sink that needs it.
HDF5_SRC := $(sort $(wildcard operators/op_hdf5*.c))
# The engine and the operators: one shared library per level.
LIB_SRC  := $(filter-out $(HDF5_SRC),$(sort $(wildcard kernels/*.c dataflow/*.c operators/*.c)))
LIB_LIBS := -lpng -lm -ldl
# What only the program needs: plain x86-64, so that an old machine can be refused with a sentence.
APP_SRC  := $(filter-out coordinator/main.c,$(sort $(wildcard config/*.c snapshot/*.c coordinator/*.c)))
APP_CXX  := $(sort $(wildcard config/*.cpp snapshot/*.cpp))
# Numbers of a job file are computed in config/: those objects are of this build in any case.
APP_OBJ  := $(foreach f,$(APP_SRC) $(APP_CXX),$(if $(filter config/%.c,$(f)),$(B),$(S))/app/$(basename $(f)).o)
APP_LIBS := -lrocksdb -lzmq -lcivetweb -llz4 -lzstd -ljansson -lstdc++ -lm
# The program has RocksDB in itself, where the system offers it so: to find a C++ library's names takes a third of a process'
# start, and a cluster is many processes.
ROCKSDB      := $(if $(wildcard $(shell $(CC) -print-file-name=librocksdb.a)),-l:librocksdb.a -lsnappy -lz -lbz2,-lrocksdb)
PROGRAM_LIBS := $(ROCKSDB) $(filter-out -lrocksdb,$(APP_LIBS))
LIBS     := $(foreach l,$(LEVELS),$(B)/lib/glibc-hwcaps/x86-64-$(l)/libweir.so $(B)/lib/glibc-hwcaps/x86-64-$(l)/libweir_hdf5.so)
FIRST    := $(firstword $(LEVELS))
TESTS    := $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
SHIMS    := $(patsubst tests/support/%.c,$(B)/tests/%.so,$(sort $(wildcard tests/support/shim_*.c)))
SUPPORT  := $(patsubst %.c,$(B)/app/%.o,$(filter-out tests/support/shim_%,$(sort $(wildcard tests/support/*.c))))
# What fuzzers are linked with: the readers and what these need, a third of the program. The linker says what is missing here.
READERS  := counts expose flow_take json_cluster json_rescale json_service load machine metrics metrics_counts metrics_load part peers piece \
            prints_read prints_write record ring rotate state status ticket usage verify
FUZZ_SRC := $(wildcard config/*.c config/*.cpp coordinator/proto_*.c) $(READERS:%=coordinator/coord_%.c) coordinator/sim_job.c \
            tests/support/part_replay.c $(addprefix snapshot/snap_,chunk.c hash.c history_image.c manifest.c manifest_code.c shuffle.c table.c)
FUZZ_OBJ := $(foreach f,$(FUZZ_SRC),$(B)/app/$(basename $(f)).o)
FUZZERS  := $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),true,printf '  %-5s %s\n' $(1) $(2))

.DEFAULT_GOAL := build
.PHONY: help build tests shims fuzzers where deps test test-long demo bench format lint install uninstall clean FORCE
.SECONDARY:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

build: $(B)/bin/weir ## build the program and its library (no packages are installed)

# In one go: whoever runs it meanwhile has the old one or the new one.
$(B)/bin/weir: $(S)/app/coordinator/main.o $(APP_OBJ) $(LIBS) $(B)/lib/libweir.so
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANF) -pthread -o $@.new $(filter %.o,$^) -L$(B)/lib -lweir $(PROGRAM_LIBS) -Wl,-rpath,'$$ORIGIN/../lib'
	$(Q)mv $@.new $@

# Found by a machine too old for every level; main refuses to go on there.
$(B)/lib/libweir.so: $(B)/lib/glibc-hwcaps/x86-64-$(FIRST)/libweir.so
	@mkdir -p $(@D)
	$(Q)cp $< $@

define LEVEL
$(B)/$(1)/%.o: %.c $(B)/flags
	$$(call say,CC,"$$< ($(1))")
	@mkdir -p $$(@D)
	$(Q)$(CC) $$(CFLAGS_ALL) $(ARCH_$(1)) $(HDF5_CFLAGS) -MMD -MP -c -o $$@ $$<

$(B)/lib/glibc-hwcaps/x86-64-$(1)/libweir.so: $(LIB_SRC:%.c=$(B)/$(1)/%.o)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SANF) -shared -pthread -Wl,-soname,libweir.so -o $$@ $$^ $(LIB_LIBS)

$(B)/lib/glibc-hwcaps/x86-64-$(1)/libweir_hdf5.so: $(HDF5_SRC:%.c=$(B)/$(1)/%.o)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SANF) -shared -pthread -Wl,-soname,libweir_hdf5.so -o $$@ $$^ $(HDF5_LIBS)
endef
$(foreach l,$(LEVELS),$(eval $(call LEVEL,$(l))))

$(B)/app/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Hashing and shuffling of snapshots; main has looked at the machine before anything here runs.
$(B)/app/snapshot/%.o: CFLAGS += $(ARCH_$(FIRST))

$(B)/app/%.o: %.cpp $(B)/flags
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

# What all unit tests are linked with: once, as to link is half of what most of them cost.
$(B)/tests/libparts.so: $(SUPPORT) $(APP_OBJ) $(LIBS) $(B)/lib/libweir.so
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANF) -shared -pthread -o $@ $(SUPPORT) $(APP_OBJ) -L$(B)/lib -lweir -lcmocka $(APP_LIBS) -Wl,-rpath,'$$ORIGIN/../lib'

# A test's own code is not what takes time; but where it has the kernels' functions in it, it is built as they are.
AS_KERNELS := tests/unit/test_float.c $(shell grep -l '"kernels/' tests/unit/test_*.c)
$(patsubst tests/%.c,$(B)/tests/%,$(filter-out $(AS_KERNELS),$(wildcard tests/unit/test_*.c))): private OPT := -O1
$(B)/tests/unit/%: tests/unit/%.c $(B)/tests/libparts.so
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(HDF5_CFLAGS) $(ARCH_$(FIRST)) -MMD -MP -MF $@.d -o $@ $< -L$(B)/tests -lparts -L$(B)/lib -lweir -lcmocka $(APP_LIBS) $(LIB_LIBS) -Wl,--as-needed $(HDF5_LIBS) -Wl,-rpath,'$$ORIGIN/..:$$ORIGIN/../../lib'

# The program with another version of the protocol, for the test that both are told.
$(B)/tests/weir-later: $(S)/app/coordinator/main.o $(APP_OBJ) $(LIBS) $(B)/lib/libweir.so
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -DPROTO_VERSION=2u -c -o $(B)/tests/proto_later.o coordinator/proto_codec.c
	$(Q)$(CC) $(SANF) -pthread -o $@ $(B)/tests/proto_later.o $(filter-out %/proto_codec.o,$(filter %.o,$^)) -L$(B)/lib -lweir $(PROGRAM_LIBS) -Wl,-rpath,'$$ORIGIN/../lib'

# For LD_PRELOAD, so without sanitizers, which must come first.
$(B)/tests/shim_%.so: tests/support/shim_%.c $(B)/flags
	$(call say,SHIM,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c17 -O2 $(WARN) -D_GNU_SOURCE -g -fPIC -pthread -I. -shared -o $@ $< -ldl

$(B)/tests/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJ) $(LIBS) $(B)/lib/libweir.so
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $(ARCH_$(FIRST)) -MMD -MP -MF $@.d -o $@ $< $(FUZZ_OBJ) -L$(B)/lib -lweir $(APP_LIBS) -Wl,-rpath,'$$ORIGIN/../../lib'

$(B)/tests/bench/%: tests/bench/%.c $(APP_OBJ) $(LIBS) $(B)/lib/libweir.so
	$(call say,BENCH,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(ARCH_$(FIRST)) -MMD -MP -MF $@.d -o $@ $< $(APP_OBJ) -L$(B)/lib -lweir $(APP_LIBS) -Wl,-rpath,'$$ORIGIN/../../lib'

# The flags of this build, which every object depends on, and what `weir version` says. Each is
# rewritten only when it has changed, so that nothing is built for nothing.
FLAGS := $(CC) $(CXX) $(CFLAGS_ALL) $(CXXFLAGS_ALL) $(foreach l,$(LEVELS),$(ARCH_$(l)))
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS))' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/weir_version.h: FORCE
	@mkdir -p $(@D)
	@printf '#define WEIR_VERSION "$(VERSION)"\n#define WEIR_COMMIT "%s"\n' \
	  "$$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/app/coordinator/coord_version.o $(B)/app/coordinator/coord_manifest.o: $(B)/weir_version.h
# What computes: the library's sources, and how their arithmetic is compiled. Who has others may have other bits.
SOURCES := $(sort $(wildcard kernels/*.[ch] dataflow/*.[ch] dataflow/weir/*.h operators/*.[ch]))
$(B)/weir_source.h: $(SOURCES) $(B)/flags
	@{ echo '$(FLOAT)'; cat $(SOURCES); } | sha256sum | sed -E 's/^(.{32}).*/#define WEIR_SOURCE "\1"/' >$@.new
	@cmp -s $@.new $@ && touch $@ && rm $@.new || mv $@.new $@
$(foreach l,$(LEVELS),$(B)/$(l)/dataflow/df_build.o): $(B)/weir_source.h

tests: $(TESTS) shims
shims: $(SHIMS) $(B)/tests/weir-later # what scripts need beside the program
fuzzers: $(FUZZERS)
where:
	@echo $(B)

deps: ## install the Debian packages that are missing
	@.ci/deps test

test: ## install what is missing, build, run every test (within 15 minutes on 2 cores)
	@.ci/deps test
	@tests/run

test-long: ## all combinations of everything, hours of fuzzing
	@.ci/deps test
	@tests/run --long

demo: ## install what is missing, build, and run a million birds
	@.ci/deps build
	@tests/support/demo.sh

bench: ## measure against hand-written programs and LAMMPS, as JSON lines
	@.ci/deps build
	@tests/bench/run

format: ## lay out the sources (clang-format)
	@command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 1; }
	git ls-files '*.c' '*.h' '*.cpp' '*.cu' | xargs clang-format -i

lint: ## list functions over 70 lines and files over 800
	@tests/support/lint.sh

install: build ## install below PREFIX (/usr/local); DESTDIR is honoured
	install -D -m 755 $(B)/bin/weir $(DESTDIR)$(PREFIX)/bin/weir
	install -D -m 755 $(B)/lib/libweir.so $(DESTDIR)$(PREFIX)/lib/libweir.so
	for l in $(LEVELS); do install -D -m 755 -t $(DESTDIR)$(PREFIX)/lib/glibc-hwcaps/x86-64-$$l \
	  $(B)/lib/glibc-hwcaps/x86-64-$$l/libweir.so $(B)/lib/glibc-hwcaps/x86-64-$$l/libweir_hdf5.so || exit 1; done
	install -D -m 644 dataflow/weir/operator.h $(DESTDIR)$(PREFIX)/include/weir/operator.h
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/weir/jobs config/jobs/*
	install -D -m 644 config/coordinator.toml $(DESTDIR)$(PREFIX)/share/weir/coordinator.toml

uninstall: ## remove what install has put there
	rm -f $(DESTDIR)$(PREFIX)/bin/weir $(DESTDIR)$(PREFIX)/lib/libweir.so
	rm -f $(foreach l,$(LEVELS),$(DESTDIR)$(PREFIX)/lib/glibc-hwcaps/x86-64-$(l)/libweir.so $(DESTDIR)$(PREFIX)/lib/glibc-hwcaps/x86-64-$(l)/libweir_hdf5.so)
	rm -f $(DESTDIR)$(PREFIX)/include/weir/operator.h
	rm -rf $(DESTDIR)$(PREFIX)/share/weir

clean: ## remove everything that was built
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
