#include "snapshot/snap_rocksdb_watch.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <unistd.h>

namespace {

class Watch : public rocksdb::EventListener {
public:
    bool ShouldBeNotifiedOnFileIO() override { return true; }

    void OnIOError(const rocksdb::IOErrorInfo &info) override
    {
        switch (info.operation) {
        case rocksdb::FileOperationType::kTruncate:
        case rocksdb::FileOperationType::kWrite:
        case rocksdb::FileOperationType::kFlush:
        case rocksdb::FileOperationType::kSync:
        case rocksdb::FileOperationType::kFsync:
        case rocksdb::FileOperationType::kRangeSync:
        case rocksdb::FileOperationType::kAppend:
        case rocksdb::FileOperationType::kPositionedAppend:
        case rocksdb::FileOperationType::kClose:
            std::fprintf(stderr, "weir: %s: %s\n", info.file_path.c_str(),
                         info.io_status.ToString().c_str());
            _exit(1);
        default:
            break;
        }
    }
};

class Silence : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(const char *, va_list) override {}
};

} // namespace

/* The C interface's options are the C++ ones and nothing else (db/c.cc). */
void snap_rocksdb_watch(rocksdb_options_t *options)
{
    rocksdb::Options *o = reinterpret_cast<rocksdb::Options *>(options);

    o->listeners.push_back(std::make_shared<Watch>());
    o->info_log = std::make_shared<Silence>();
}

char *snap_rocksdb_read(const rocksdb_options_t *options, const char *path,
                        void (*each)(void *user, const char *key, size_t key_size, const char *value,
                                     size_t value_size),
                        void *user)
{
    rocksdb::SstFileReader reader(*reinterpret_cast<const rocksdb::Options *>(options));
    rocksdb::Status status = reader.Open(path);

    if (status.ok()) {
        std::unique_ptr<rocksdb::Iterator> at(reader.NewIterator(rocksdb::ReadOptions()));

        for (at->SeekToFirst(); at->Valid(); at->Next())
            each(user, at->key().data(), at->key().size(), at->value().data(), at->value().size());
        status = at->status();
    }
    return status.ok() ? nullptr : strdup(status.ToString().c_str());
}
