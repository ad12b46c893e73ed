/* Addresses: "ipc://PATH" and "tcp://HOST:PORT". */
#include "coordinator/coord_net_private.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESS_BACKLOG 1024

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == NET_PATH_SIZE, "of a local socket");

/* ZeroMQ gives '@' and '*' meanings of their own, which would be no file with a mode. */
static df_status address_ipc(const char *path, char *out, size_t size, df_error *err)
{
    if (path[0] == '\0' || path[0] == '@' || path[0] == '*')
        return df_fail(err, DF_EINVAL, "ipc://%.100s: a path is needed", path);
    if (strlen(path) >= NET_PATH_SIZE)
        return df_fail(err, DF_EINVAL, "ipc://%s: %zu bytes, a local socket's path has at most %d",
                       path, strlen(path), NET_PATH_SIZE - 1);
    snprintf(out, size, "ipc://%s", path);
    return DF_OK;
}

/* Cut "HOST:PORT" or "[HOST]:PORT". */
static bool address_cut(const char *text, char host[256], char port[8])
{
    const char *colon = strrchr(text, ':');
    size_t size;

    if (colon == NULL || colon == text || colon[1] == '\0')
        return false;
    size = (size_t)(colon - text);
    if (text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size == 0 || size >= 256 || strlen(colon + 1) > 5)
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    strcpy(port, colon + 1);
    if (strcmp(port, "*") == 0)
        return true;
    return strspn(port, "0123456789") == strlen(port) && strtol(port, NULL, 10) <= 65535;
}

static df_status address_tcp(const char *text, bool bind, char *out, size_t size, bool *ipv6,
                             df_error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    char host[256], port[8], number[128];
    int rc;

    if (!address_cut(text, host, port) || (!bind && strcmp(port, "*") == 0))
        return df_fail(err, DF_EINVAL, "tcp://%.200s: this is no tcp://HOST:PORT", text);
    if (bind && strcmp(host, "*") == 0) {
        snprintf(out, size, "tcp://*:%s", port);
        return DF_OK;
    }
    rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc == 0)
        rc = getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof number, NULL, 0,
                         NI_NUMERICHOST);
    if (rc != 0) {
        if (found != NULL)
            freeaddrinfo(found);
        return df_fail(err, DF_EINVAL, "tcp://%.200s: %s", text, gai_strerror(rc));
    }
    *ipv6 = found->ai_family == AF_INET6;
    freeaddrinfo(found);
    snprintf(out, size, *ipv6 ? "tcp://[%s]:%s" : "tcp://%s:%s", number, port);
    return DF_OK;
}

df_status net_resolve(const char *address, bool bind, char *out, size_t size, bool *ipv6,
                      df_error *err)
{
    *ipv6 = false;
    if (strncmp(address, "ipc://", 6) == 0)
        return address_ipc(address + 6, out, size, err);
    if (strncmp(address, "tcp://", 6) == 0)
        return address_tcp(address + 6, bind, out, size, ipv6, err);
    return df_fail(err, DF_EINVAL, "%.200s: an address begins with ipc:// or tcp://", address);
}

/* A datagram socket that is connected has chosen its route, and has sent nothing. */
df_status coord_net_near(char *out, size_t size, const char *address, df_error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST }, *found = NULL;
    struct sockaddr_storage near;
    socklen_t length = sizeof near;
    char resolved[320], host[256], port[8], number[128];
    bool ipv6;
    int fd = -1;
    df_status s = net_resolve(address, false, resolved, sizeof resolved, &ipv6, err);

    if (s != DF_OK)
        return s;
    if (strncmp(resolved, "tcp://", 6) != 0 || !address_cut(resolved + 6, host, port) ||
        getaddrinfo(host, port, &hints, &found) != 0)
        return df_fail(err, DF_EINVAL, "%.200s: this is no tcp://HOST:PORT", address);
    fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        getsockname(fd, (struct sockaddr *)&near, &length) != 0 ||
        getnameinfo((struct sockaddr *)&near, length, number, sizeof number, NULL, 0,
                    NI_NUMERICHOST) != 0)
        s = df_fail(err, DF_EIO, "%.200s: no way leads there: %s", address, strerror(errno));
    else
        snprintf(out, size, ipv6 ? "tcp://[%s]:*" : "tcp://%s:*", number);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return s;
}

/* Remove a socket file that nobody listens at, and nothing else. */
static bool local_remove_stale(const struct sockaddr_un *at)
{
    struct stat st;
    bool stale;
    int fd;

    if (lstat(at->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale && unlink(at->sun_path) == 0;
}

/* The mode is set before the file exists: Linux gives a local socket's file the mode of the
 * socket. */
df_status net_listen_local(const char *path, int *out, df_error *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

    strcpy(at.sun_path, path);
    if (fd < 0 || fchmod(fd, 0600) != 0)
        goto failed;
    rc = bind(fd, (const struct sockaddr *)&at, sizeof at);
    if (rc != 0 && errno == EADDRINUSE && local_remove_stale(&at))
        rc = bind(fd, (const struct sockaddr *)&at, sizeof at);
    if (rc != 0 || listen(fd, ADDRESS_BACKLOG) != 0)
        goto failed;
    *out = fd;
    return DF_OK;
failed:
    df_fail(err, DF_EIO, "ipc://%s: %s", path,
            errno == EADDRINUSE ? "another process listens there" : strerror(errno));
    if (fd >= 0)
        close(fd);
    return DF_EIO;
}
