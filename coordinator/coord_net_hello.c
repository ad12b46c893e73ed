/* How two processes of one host come to share memory: what is said over the second local socket.
 *
 *   from who connects:  "weirring", u32 version, u32 size of a ring, u64 number; memory, bell
 *   from who listens:   the same, with its own number; bell
 *
 * The socket's name says the first one's file and is in no folder, so nothing is left of a process that is
 * killed. Who owns the process at the other end is asked of the kernel: another user's is not spoken to.
 * Memory that its giver could still shorten would be a way to kill us, so it must be sealed. */
#include "coordinator/coord_net_private.h"

#include "coordinator/proto_msg.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_VERSION    1u
#define RING_HELLO_SIZE 24u
#define RING_SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static const uint8_t ring_magic[8] = { 'w', 'e', 'i', 'r', 'r', 'i', 'n', 'g' };

/* ---- the second socket's name ---- */

bool net_hello_name(const char *path, struct sockaddr_un *at, socklen_t *size)
{
    struct stat st;
    int length;

    if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    length = snprintf(at->sun_path + 1, sizeof at->sun_path - 1, "weir-ring-%jx-%jx",
                      (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    return true;
}

bool net_hello_same_user(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
}

/* ---- what is said ---- */

bool net_hello_say(const coord_net *net, int fd, const int *give, size_t count)
{
    uint8_t bytes[RING_HELLO_SIZE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = { 0 };
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                          .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    assert(count >= 1 && count <= 2);
    memcpy(bytes, ring_magic, sizeof ring_magic);
    proto_put_u32(bytes + 8, RING_VERSION);
    proto_put_u32(bytes + 12, COORD_RING_SIZE);
    proto_put_u64(bytes + 16, net->self);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), give, count * sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof bytes;
}

void net_hello_close(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

df_status net_hello_hear(int fd, int *taken, size_t count, uint64_t *number)
{
    uint8_t bytes[RING_HELLO_SIZE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                          .msg_controllen = sizeof control };
    ssize_t size = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = size < 0 ? NULL : CMSG_FIRSTHDR(&msg);
    int got[2] = { -1, -1 };
    size_t have = 0;

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return DF_AGAIN;
    if (size == 0)
        return DF_END;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        have = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        assert(have <= 2); /* the buffer takes no more */
        memcpy(got, CMSG_DATA(c), have * sizeof(int));
    }
    if (size != (ssize_t)sizeof bytes || have != count || (msg.msg_flags & MSG_CTRUNC) != 0 ||
        memcmp(bytes, ring_magic, sizeof ring_magic) != 0 || proto_get_u32(bytes + 8) != RING_VERSION ||
        proto_get_u32(bytes + 12) != COORD_RING_SIZE) {
        net_hello_close(got, 2);
        return DF_ECORRUPT;
    }
    memcpy(taken, got, count * sizeof(int));
    *number = proto_get_u64(bytes + 16);
    return DF_OK;
}

bool net_hello_is_bell(int fd)
{
    static const char wanted[] = "anon_inode:[eventfd]";
    char path[32], found[sizeof wanted];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, found, sizeof found) == (ssize_t)strlen(wanted) &&
           memcmp(found, wanted, strlen(wanted)) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* ---- memory ---- */

int net_hello_memory(void)
{
    int memory = memfd_create("weir-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory >= 0 && (ftruncate(memory, (off_t)(2 * coord_ring_memory())) != 0 ||
                        fcntl(memory, F_ADD_SEALS, RING_SEALS) != 0)) {
        close(memory);
        memory = -1;
    }
    return memory;
}

bool net_hello_map(net_ring *r, int memory)
{
    size_t size = coord_ring_memory();
    struct stat st;
    char *at;

    if (fstat(memory, &st) != 0 || st.st_size != (off_t)(2 * size) ||
        (fcntl(memory, F_GET_SEALS) & RING_SEALS) != RING_SEALS)
        return false;
    at = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED)
        return false;
    r->memory = at;
    coord_ring_init(r->ours ? &r->out : &r->in, at);
    coord_ring_init(r->ours ? &r->in : &r->out, at + size);
    return true;
}
