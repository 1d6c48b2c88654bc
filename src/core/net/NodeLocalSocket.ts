/** Unix sockets of the operating system. Serving is loaded on demand, because most commands only connect. */
import * as FileSystem from "node:fs/promises"
import { Effect, Layer, type Scope } from "effect"
import type { Socket } from "effect/socket"
import { LocalSocket, type LocalSocketError } from "./LocalSocket.ts"
import * as NodeBuffers from "./NodeBuffers.ts"
import { attempt, checkLength, open, refuse } from "./NodeLocalPath.ts"
import * as NodeStreamSocket from "./NodeStreamSocket.ts"

/** Local sockets of this host. */
export const layer: Layer.Layer<LocalSocket> = Layer.sync(LocalSocket, () => {
  // A transfer through a daemon is as many buffers here as there.
  NodeBuffers.countAsHeap()
  return LocalSocket.of({
    connect,
    listen: (path) =>
      Effect.flatMap(
        Effect.promise(() => import("./NodeLocalListener.ts")),
        ({ listen }) => listen(path)
      )
  })
})

const connect = Effect.fnUntraced(function* (
  path: string,
  owners: ReadonlyArray<number>
): Effect.fn.Return<Socket.Socket, LocalSocketError, Scope.Scope> {
  yield* checkLength(path)
  const stat = yield* attempt(path, () => FileSystem.lstat(path))
  if (!stat.isSocket()) return yield* refuse("NotServed", path, "not a socket")
  if (!owners.includes(stat.uid)) return yield* refuse("WrongOwner", path, `belongs to uid ${stat.uid}`)
  const connection = yield* Effect.acquireRelease(open(path), (socket) => Effect.sync(() => socket.destroySoon()))
  return NodeStreamSocket.make(connection)
})
