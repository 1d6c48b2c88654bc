/** What connecting to and serving a Unix socket have in common: its path, and what the operating system says of it. */
import * as Net from "node:net"
import { Effect } from "effect"
import { LocalSocketError } from "./LocalSocket.ts"

/** A connected, paused socket. */
export const open = (path: string): Effect.Effect<Net.Socket, LocalSocketError> =>
  Effect.callback((resume) => {
    const socket = Net.createConnection({ path })
    // Stays for the socket's whole life: an error nobody listens to would end the process.
    socket.on("error", (cause) => resume(Effect.fail(fromSystem(path, cause))))
    socket.once("connect", () => {
      socket.pause()
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => socket.destroy())
  })

/** A path that fits a socket address. */
export const checkLength = (path: string): Effect.Effect<void, LocalSocketError> =>
  Buffer.byteLength(path) > PATH_BYTES_MAX
    ? refuse("PathTooLong", path, `${Buffer.byteLength(path)} bytes, at most ${PATH_BYTES_MAX} fit`)
    : Effect.void

/** A call of the operating system, its failure with a reason. */
export const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, LocalSocketError> =>
  Effect.tryPromise({ try: run, catch: (cause) => fromSystem(path, cause) })

/** A refusal of our own. */
export const refuse = (reason: LocalSocketError["reason"], path: string, detail: string) =>
  Effect.fail(new LocalSocketError({ reason, path, detail }))

/** An error of the operating system with our reason. */
export const fromSystem = (path: string, cause: unknown): LocalSocketError =>
  new LocalSocketError({ reason: REASONS.get(codeOf(cause)) ?? "Other", path, detail: describe(cause) })

/** `ENOENT` and its like; empty for other failures. */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : ""

/** The words of an error. */
export const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const REASONS: ReadonlyMap<string, LocalSocketError["reason"]> = new Map([
  ["ENOENT", "NotServed"],
  ["ENOTDIR", "NotServed"],
  ["ECONNREFUSED", "NotServed"],
  ["EEXIST", "AlreadyServed"],
  ["EADDRINUSE", "AlreadyServed"],
  ["EACCES", "PermissionDenied"],
  ["EPERM", "PermissionDenied"]
])

/** What `sun_path` holds before its terminator: 108 bytes on Linux, 104 elsewhere. */
export const PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103
