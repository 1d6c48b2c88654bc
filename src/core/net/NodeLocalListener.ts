/** Serves a Unix socket that was never open to anybody but its owner (node §1.1). */
import * as FileSystem from "node:fs/promises"
import * as Path from "node:path"
import { NetSocket } from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { Effect, Option, Result, type Scope } from "effect"
import type { SocketServer } from "effect/socket"
import { LocalSocketError } from "./LocalSocket.ts"
import { attempt, checkLength, codeOf, describe, fromSystem, open, PATH_BYTES_MAX, refuse } from "./NodeLocalPath.ts"
import * as NodeStreamSocket from "./NodeStreamSocket.ts"

/** As `LocalSocket.listen`. */
export const listen = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<SocketServer.SocketServer["Service"], LocalSocketError, Scope.Scope> {
  yield* checkLength(path)
  const directory = Path.dirname(path)
  yield* inDirectory(path, () => makeDirectory(directory, PARENTS_MAX))
  yield* clear(path)
  const nest = yield* Effect.acquireRelease(
    inDirectory(path, () => FileSystem.mkdtemp(Path.join(directory, ".p"))),
    (made) => Effect.promise(() => FileSystem.rm(made, { recursive: true, force: true }))
  )
  const server = yield* Effect.mapError(NodeSocketServer.make({ path: inNest(nest, path) }), (error) =>
    fromSystem(path, error.reason.cause)
  )
  yield* appear(inNest(nest, path), path)
  // Read as the other end is: it costs half of what the platform's own reader does.
  const run: typeof server.run = (handler) =>
    server.run((socket) =>
      Effect.flatMap(Effect.serviceOption(NetSocket), (connection) =>
        handler(Option.isSome(connection) ? NodeStreamSocket.make(connection.value) : socket)
      )
    )
  return { ...server, run }
})

/**
 * Bound in a fresh directory that only the owner may enter, so that there is no moment with default permissions. If
 * that name would be too long, the target is bound directly: its own directory protects it.
 */
const inNest = (nest: string, path: string): string => {
  const nested = Path.join(nest, "s")
  return Buffer.byteLength(nested) <= PATH_BYTES_MAX ? nested : path
}

/** Gives the bound socket its name. A link, not a rename: it never replaces what somebody else put there meanwhile. */
const appear = Effect.fnUntraced(function* (bound: string, path: string) {
  yield* attempt(path, () => FileSystem.chmod(bound, 0o600))
  if (bound !== path) yield* attempt(path, () => FileSystem.link(bound, path))
  const { ino } = yield* attempt(path, () => FileSystem.lstat(path))
  yield* Effect.addFinalizer(() => Effect.promise(() => disappear(path, ino)))
})

const disappear = async (path: string, ino: number): Promise<void> => {
  const stat = await FileSystem.lstat(path).catch(() => undefined)
  if (stat?.ino === ino) await FileSystem.rm(path, { force: true })
}

/** Asks first, removes after: a live daemon keeps its socket. */
const clear = Effect.fnUntraced(function* (path: string) {
  const stat = yield* Effect.promise(() => FileSystem.lstat(path).catch(() => undefined))
  if (stat === undefined) return
  if (!stat.isSocket()) return yield* refuse("Other", path, "a file that is no socket is in the way")
  const answer = yield* Effect.result(open(path))
  if (Result.isSuccess(answer)) {
    answer.success.destroy()
    return yield* refuse("AlreadyServed", path, "another process answers there")
  }
  // Only a dead file goes; what we may not even ask is not ours to remove.
  if (answer.failure.reason !== "NotServed") return yield* answer.failure
  yield* attempt(path, () => FileSystem.rm(path, { force: true }))
})

const inDirectory = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, LocalSocketError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new LocalSocketError({ reason: "DirectoryUnusable", path, detail: describe(cause) })
  })

/** Not `recursive`: on file systems that refuse new directories that never returns (`/proc`). */
const makeDirectory = async (directory: string, parentsMax: number): Promise<void> => {
  const code = await FileSystem.mkdir(directory, { mode: 0o700 }).then(
    () => "",
    (cause) => codeOf(cause)
  )
  if (code === "" || code === "EEXIST") return
  if (code !== "ENOENT" || parentsMax === 0) throw new Error(`cannot make ${directory} (${code})`)
  await makeDirectory(Path.dirname(directory), parentsMax - 1)
  await FileSystem.mkdir(directory, { mode: 0o700 })
}

const PARENTS_MAX = 16
