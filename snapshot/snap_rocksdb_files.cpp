#include "snapshot/snap_rocksdb_files.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <new>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

bool is_full(int code)
{
    return code == ENOSPC || code == EDQUOT;
}

IOStatus failure(const char *what, const std::string &path, int code)
{
    std::string where = std::string("While ") + what + ": " + path;

    return is_full(code) ? IOStatus::NoSpace(where, strerror(code)) : IOStatus::IOError(where, strerror(code));
}

/* Who waits, and whether anybody may. */
class Patience {
public:
    std::atomic<bool> patient{ false };
    std::atomic<int> waiting{ 0 };

    /* A moment later it may be tried again. False: it may not. */
    bool moment()
    {
        if (!patient)
            return false;
        waiting++;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        waiting--;
        return patient;
    }
};

/* A file that only grows, at its end. What a failed write has left behind the end is written over. */
class File : public FSWritableFile {
public:
    File(Patience &patience, std::string path, int fd) : patience_(patience), path_(std::move(path)), fd_(fd) {}

    ~File() override
    {
        if (fd_ >= 0)
            close(fd_);
    }

    using FSWritableFile::Append;

    IOStatus Append(const Slice &data, const IOOptions &, IODebugContext *) override
    {
        size_t done = 0;

        while (done < data.size()) {
            ssize_t n = pwrite(fd_, data.data() + done, data.size() - done, static_cast<off_t>(size_ + done));
            int code = n < 0 ? errno : ENOSPC;

            if (n > 0)
                done += static_cast<size_t>(n);
            else if (code != EINTR && !(is_full(code) && patience_.moment()))
                return failure("writing", path_, code);
        }
        size_ += done;
        return IOStatus::OK();
    }

    IOStatus Truncate(uint64_t size, const IOOptions &, IODebugContext *) override
    {
        if (ftruncate(fd_, static_cast<off_t>(size)) != 0)
            return failure("cutting", path_, errno);
        size_ = size;
        return IOStatus::OK();
    }

    /* Room that was reserved and is not used is given back; if that fails it is only not given back. */
    IOStatus Close(const IOOptions &, IODebugContext *) override
    {
        int fd = fd_;

        if (reserved_ > size_ && ftruncate(fd, static_cast<off_t>(size_)) == 0)
            (void)fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, static_cast<off_t>(size_),
                            static_cast<off_t>(reserved_ - size_));
        fd_ = -1;
        return close(fd) == 0 ? IOStatus::OK() : failure("closing", path_, errno);
    }

    IOStatus Flush(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }

    IOStatus Sync(const IOOptions &, IODebugContext *) override
    {
        return fdatasync(fd_) == 0 ? IOStatus::OK() : failure("syncing", path_, errno);
    }

    IOStatus Fsync(const IOOptions &, IODebugContext *) override
    {
        return fsync(fd_) == 0 ? IOStatus::OK() : failure("syncing", path_, errno);
    }

    bool IsSyncThreadSafe() const override { return true; }

    uint64_t GetFileSize(const IOOptions &, IODebugContext *) override { return size_; }

    IOStatus Allocate(uint64_t offset, uint64_t size, const IOOptions &, IODebugContext *) override
    {
        if (fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0)
            return failure("reserving room", path_, errno);
        if (offset + size > reserved_)
            reserved_ = offset + size;
        return IOStatus::OK();
    }

private:
    Patience &patience_;
    std::string path_;
    int fd_;
    uint64_t size_ = 0, reserved_ = 0;
};

class Files : public rocksdb::FileSystemWrapper {
public:
    Patience patience;

    Files() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

    const char *Name() const override { return "weir"; }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &, std::unique_ptr<FSWritableFile> *out,
                             IODebugContext *) override
    {
        int fd, code;

        out->reset();
        do {
            fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            code = errno;
        } while (fd < 0 && (code == EINTR || (is_full(code) && patience.moment())));
        if (fd < 0)
            return failure("making", path, code);
        out->reset(new File(patience, path, fd));
        return IOStatus::OK();
    }

    IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &options,
                        IODebugContext *debug) override
    {
        return patiently([&] { return target()->RenameFile(from, to, options, debug); });
    }

    IOStatus LinkFile(const std::string &from, const std::string &to, const IOOptions &options,
                      IODebugContext *debug) override
    {
        return patiently([&] { return target()->LinkFile(from, to, options, debug); });
    }

private:
    template <typename Call> IOStatus patiently(Call call)
    {
        IOStatus status = call();

        while (status.IsNoSpace() && patience.moment())
            status = call();
        return status;
    }
};

} // namespace

struct snap_rocksdb_files {
    std::shared_ptr<Files> files;
    std::unique_ptr<rocksdb::Env> env;
};

/* The C interface's options are the C++ ones and nothing else (db/c.cc). */
snap_rocksdb_files *snap_rocksdb_files_new(rocksdb_options_t *options)
{
    snap_rocksdb_files *made = new (std::nothrow) snap_rocksdb_files;

    if (made == nullptr)
        return nullptr;
    made->files = std::make_shared<Files>();
    made->env = rocksdb::NewCompositeEnv(made->files);
    reinterpret_cast<rocksdb::Options *>(options)->env = made->env.get();
    return made;
}

void snap_rocksdb_files_free(snap_rocksdb_files **files)
{
    delete *files;
    *files = nullptr;
}

void snap_rocksdb_files_patient(snap_rocksdb_files *files, bool patient)
{
    files->files->patience.patient = patient;
}

bool snap_rocksdb_files_waiting(const snap_rocksdb_files *files)
{
    return files->files->patience.waiting > 0;
}
