#include "snapshot/snap_rocksdb_files.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <new>
#include <pthread.h>
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

constexpr size_t ALIGNMENT = 4096;    /* of memory, place and size; no disk asks for more */
constexpr size_t PIECE = 1u << 20;    /* bytes of one write */
constexpr size_t THEIR_BUFFER = 4096; /* RocksDB's own: blocks are larger and go past it */

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

/* ---- parts ---- */

struct Release {
    void operator()(void *bytes) const { free(bytes); }
};

using Buffer = std::unique_ptr<char, Release>;

/* The file of a part; it only grows, at its end. While one piece is filled, a thread of the file's own writes the one
 * before: who fills would otherwise wait for the disk at each, and then for a processor. */
class PartFile : public FSWritableFile {
public:
    PartFile(std::string path, int fd, bool direct, Buffer one, Buffer other)
        : path_(std::move(path)), fd_(fd), direct_(direct), filled_(std::move(one)), written_(std::move(other))
    {
        threaded_ = pthread_create(&thread_, nullptr, thread_main, this) == 0;
    }

    ~PartFile() override
    {
        end_thread();
        if (fd_ >= 0)
            close(fd_);
    }

    using FSWritableFile::Append;

    IOStatus Append(const Slice &data, const IOOptions &, IODebugContext *) override
    {
        const char *from = data.data();
        size_t left = data.size();

        while (left > 0) {
            size_t part = left < PIECE - used_ ? left : PIECE - used_;

            memcpy(filled_.get() + used_, from, part);
            used_ += part;
            from += part;
            left -= part;
            if (used_ == PIECE && !hand_over())
                return failure("writing", path_, lost_);
        }
        size_ += data.size();
        return IOStatus::OK();
    }

    IOStatus Flush(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }

    IOStatus Sync(const IOOptions &, IODebugContext *) override
    {
        if (!write_rest())
            return failure("writing", path_, lost_);
        return fdatasync(fd_) == 0 ? IOStatus::OK() : failure("syncing", path_, errno);
    }

    IOStatus Fsync(const IOOptions &options, IODebugContext *debug) override { return Sync(options, debug); }

    IOStatus Close(const IOOptions &, IODebugContext *) override
    {
        int fd = fd_;

        if (!write_rest())
            return failure("writing", path_, lost_);
        fd_ = -1;
        return close(fd) == 0 ? IOStatus::OK() : failure("closing", path_, errno);
    }

    uint64_t GetFileSize(const IOOptions &, IODebugContext *) override { return size_; }

private:
    bool go_indirect()
    {
        int flags = fcntl(fd_, F_GETFL);

        if (flags < 0 || fcntl(fd_, F_SETFL, flags & ~O_DIRECT) != 0)
            return false;
        direct_ = false;
        return true;
    }

    /* 0, or what went wrong. A file system may refuse only now what it has allowed when the file was made. */
    int write_piece(const char *bytes, size_t size)
    {
        size_t done = 0;

        while (done < size) {
            ssize_t n = write(fd_, bytes + done, size - done);

            if (n > 0)
                done += static_cast<size_t>(n);
            else if (n == 0)
                return ENOSPC;
            else if (errno != EINTR && !(errno == EINVAL && direct_ && go_indirect()))
                return errno;
        }
        return 0;
    }

    static void *thread_main(void *user)
    {
        PartFile *f = static_cast<PartFile *>(user);
        std::unique_lock<std::mutex> hold(f->lock_);

        for (;;) {
            f->changed_.wait(hold, [f] { return f->handed_ > 0 || f->ending_; });
            if (f->handed_ == 0)
                return nullptr;
            hold.unlock();
            int code = f->write_piece(f->written_.get(), f->handed_);
            hold.lock();
            f->handed_ = 0;
            f->lost_ = code;
            f->changed_.notify_all();
            if (code != 0)
                return nullptr;
        }
    }

    /* Once the piece before is written: after a write that failed nothing is tried again. */
    bool hand_over()
    {
        std::unique_lock<std::mutex> hold(lock_);

        changed_.wait(hold, [this] { return handed_ == 0; });
        if (lost_ != 0)
            return false;
        if (threaded_) {
            std::swap(filled_, written_);
            handed_ = used_;
            changed_.notify_all();
        } else {
            lost_ = write_piece(filled_.get(), used_);
        }
        used_ = 0;
        return lost_ == 0;
    }

    void end_thread()
    {
        if (!threaded_)
            return;
        {
            std::unique_lock<std::mutex> hold(lock_);

            ending_ = true;
            changed_.notify_all();
        }
        pthread_join(thread_, nullptr);
        threaded_ = false;
    }

    /* The end of a file is not aligned. */
    bool write_rest()
    {
        end_thread();
        if (lost_ == 0 && direct_ && !go_indirect())
            lost_ = errno;
        if (lost_ == 0)
            lost_ = write_piece(filled_.get(), used_);
        used_ = 0;
        return lost_ == 0;
    }

    std::string path_;
    int fd_;
    bool direct_;    /* the thread's, while there is one; so is fd_ */
    Buffer filled_;
    size_t used_ = 0; /* of filled_ */
    uint64_t size_ = 0;
    pthread_t thread_;
    bool threaded_;
    std::mutex lock_; /* of what follows */
    std::condition_variable changed_;
    Buffer written_;
    size_t handed_ = 0; /* of written_; 0: it is written */
    bool ending_ = false;
    int lost_ = 0;      /* errno of the write that failed */
};

class PartFiles : public rocksdb::FileSystemWrapper {
public:
    PartFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

    const char *Name() const override { return "weir parts"; }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &, std::unique_ptr<FSWritableFile> *out,
                             IODebugContext *) override
    {
        Buffer one(static_cast<char *>(aligned_alloc(ALIGNMENT, PIECE)));
        Buffer other(static_cast<char *>(aligned_alloc(ALIGNMENT, PIECE)));
        bool direct = true;
        int fd;

        out->reset();
        if (one == nullptr || other == nullptr)
            return failure("making", path, ENOMEM);
        fd = make(path, O_DIRECT);
        if (fd < 0 && errno == EINVAL) {
            direct = false;
            fd = make(path, 0);
        }
        if (fd < 0)
            return failure("making", path, errno);
        out->reset(new PartFile(path, fd, direct, std::move(one), std::move(other)));
        return IOStatus::OK();
    }

private:
    static int make(const std::string &path, int how)
    {
        int fd;

        do
            fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | how, 0644);
        while (fd < 0 && errno == EINTR);
        return fd;
    }
};

/* RocksDB may still ask for it while the process ends, so it is never released. */
rocksdb::Env *part_env()
{
    static std::unique_ptr<rocksdb::Env> *env =
        new std::unique_ptr<rocksdb::Env>(rocksdb::NewCompositeEnv(std::make_shared<PartFiles>()));

    return env->get();
}

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

void snap_rocksdb_part_files(rocksdb_options_t *options, rocksdb_envoptions_t *env)
{
    reinterpret_cast<rocksdb::Options *>(options)->env = part_env();
    reinterpret_cast<rocksdb::EnvOptions *>(env)->writable_file_max_buffer_size = THEIR_BUFFER;
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
