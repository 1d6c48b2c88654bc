/**
 * Sockets between processes of one user on one host (node §1.1): a path in the file system, private to its owner.
 * `NodeLocalSocket` opens real ones. Reading and writing are those of `effect/socket`, with its back-pressure.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Socket, SocketServer } from "effect/socket"

/** Why a local socket cannot be reached or offered. */
export class LocalSocketError extends Schema.TaggedError<LocalSocketError>()("LocalSocketError", {
  reason: Schema.Literals([
    /** No such file, or a file that nobody serves any more. */
    "NotServed",
    /** Somebody serves this path; nothing was changed. */
    "AlreadyServed",
    /** The path belongs to another user, who could be anybody. */
    "WrongOwner",
    "PermissionDenied",
    /** More bytes than a socket address holds. */
    "PathTooLong",
    /** The directory cannot be made or written. */
    "DirectoryUnusable",
    "Other"
  ]),
  path: Schema.String,
  detail: Schema.String
}) {}

/** Opens and offers local sockets. */
export class LocalSocket extends Context.Service<
  LocalSocket,
  {
    /** A connected socket; its end is the end of the scope. Only a path owned by one of `owners` is believed. */
    readonly connect: (
      path: string,
      owners: ReadonlyArray<number>
    ) => Effect.Effect<Socket.Socket, LocalSocketError, Scope.Scope>
    /**
     * Serves a path: refused while somebody answers there, a dead file is replaced. The file appears with mode 0600 and
     * disappears with the scope, unless another file has taken its place.
     */
    readonly listen: (
      path: string
    ) => Effect.Effect<SocketServer.SocketServer["Service"], LocalSocketError, Scope.Scope>
  }
>()("effect-pilot/core/net/LocalSocket") {}
