// SPDX-License-Identifier: GPL-3.0-or-later
//
// The functions of io.h that start an operation: check the arguments, fill the operation, hand it
// to the implementation. The whole private part is set anew, so nothing of an earlier use survives.
#include "format/ensure.h"
#include "io/io.h"
#include "io/io_enqueue.h"

#include <string.h>

static void io_start_fill(struct io_op *op, enum io_kind kind, int handle, io_callback *callback)
{
    ensure(op->kind == IO_NONE); // started twice
    ensure(callback != NULL);
    *op = (struct io_op){.callback = callback, .kind = kind, .handle = handle};
}

static void io_start_path(struct io_op *op, const char *path)
{
    ensure(path != NULL && path[0] != '\0');
    ensure(strnlen(path, IO_PATH_BYTES_MAX + 1) <= IO_PATH_BYTES_MAX);
    op->buffer.path = path;
}

void io_resolve(struct io *io, struct io_op *op, const char *host, uint16_t port,
                struct io_address *addresses, io_callback *callback)
{
    ensure(host != NULL && strnlen(host, IO_HOST_BYTES_MAX + 1) <= IO_HOST_BYTES_MAX);
    ensure(addresses != NULL);
    io_start_fill(op, IO_RESOLVE, -1, callback);
    op->path_to = host;
    op->address.port = port;
    op->buffer.addresses = addresses;
    io_enqueue(io, op);
}

void io_connect(struct io *io, struct io_op *op, const struct io_address *address,
                io_callback *callback)
{
    ensure(address != NULL);
    struct io_address copy = *address; // `address` may lie inside the operation
    io_start_fill(op, IO_CONNECT, -1, callback);
    op->address = copy;
    io_enqueue(io, op);
}

void io_accept(struct io *io, struct io_op *op, int listener, io_callback *callback)
{
    ensure(listener >= 0);
    io_start_fill(op, IO_ACCEPT, listener, callback);
    io_enqueue(io, op);
}

void io_receive(struct io *io, struct io_op *op, int handle, io_callback *callback)
{
    ensure(handle >= 0);
    io_start_fill(op, IO_RECEIVE, handle, callback);
    io_enqueue(io, op);
}

void io_send(struct io *io, struct io_op *op, int handle, const void *data, uint32_t size,
             io_callback *callback)
{
    ensure(handle >= 0);
    ensure(data != NULL && size > 0);
    io_start_fill(op, IO_SEND, handle, callback);
    op->buffer.write = data;
    op->size = size;
    io_enqueue(io, op);
}

void io_open(struct io *io, struct io_op *op, const char *path, uint32_t flags,
             io_callback *callback)
{
    ensure((flags & (IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_DIRECTORY)) != 0);
    ensure((flags & IO_OPEN_EXCLUSIVE) == 0 || (flags & IO_OPEN_CREATE) != 0);
    io_start_fill(op, IO_OPEN, -1, callback);
    io_start_path(op, path);
    op->flags = flags;
    io_enqueue(io, op);
}

void io_close(struct io *io, struct io_op *op, int handle, io_callback *callback)
{
    ensure(handle >= 0);
    io_start_fill(op, IO_CLOSE, handle, callback);
    io_enqueue(io, op);
}

void io_read(struct io *io, struct io_op *op, int handle, void *bytes, uint32_t size,
             int64_t offset, io_callback *callback)
{
    ensure(handle >= 0 && offset >= 0);
    ensure(bytes != NULL && size > 0 && size <= INT32_MAX);
    io_start_fill(op, IO_READ, handle, callback);
    op->buffer.read = bytes;
    op->size = size;
    op->offset = offset;
    io_enqueue(io, op);
}

void io_write(struct io *io, struct io_op *op, int handle, const void *bytes, uint32_t size,
              int64_t offset, uint32_t flags, io_callback *callback)
{
    ensure(handle >= 0 && offset >= 0 && (flags & ~(uint32_t)IO_WRITE_DURABLE) == 0);
    ensure(bytes != NULL && size > 0 && size <= INT32_MAX);
    io_start_fill(op, IO_WRITE, handle, callback);
    op->buffer.write = bytes;
    op->size = size;
    op->offset = offset;
    op->flags = flags;
    io_enqueue(io, op);
}

void io_fsync(struct io *io, struct io_op *op, int handle, bool data_only, io_callback *callback)
{
    ensure(handle >= 0);
    io_start_fill(op, IO_FSYNC, handle, callback);
    op->flags = data_only;
    io_enqueue(io, op);
}

void io_fallocate(struct io *io, struct io_op *op, int handle, int64_t size, io_callback *callback)
{
    ensure(handle >= 0 && size > 0);
    io_start_fill(op, IO_FALLOCATE, handle, callback);
    op->offset = size;
    io_enqueue(io, op);
}

void io_rename(struct io *io, struct io_op *op, const char *from, const char *to,
               io_callback *callback)
{
    io_start_fill(op, IO_RENAME, -1, callback);
    io_start_path(op, to);
    op->path_to = op->buffer.path;
    io_start_path(op, from);
    io_enqueue(io, op);
}

void io_unlink(struct io *io, struct io_op *op, const char *path, io_callback *callback)
{
    io_start_fill(op, IO_UNLINK, -1, callback);
    io_start_path(op, path);
    io_enqueue(io, op);
}

void io_mkdir(struct io *io, struct io_op *op, const char *path, io_callback *callback)
{
    io_start_fill(op, IO_MKDIR, -1, callback);
    io_start_path(op, path);
    io_enqueue(io, op);
}

void io_timeout(struct io *io, struct io_op *op, int64_t after_ns, io_callback *callback)
{
    ensure(after_ns >= 0);
    io_start_fill(op, IO_TIMEOUT, -1, callback);
    op->offset = after_ns;
    io_enqueue(io, op);
}
