/** The running mounts of a state directory: each answers at a socket of its own, and `mcp status` asks all of them. */
import { Clock, Effect, FileSystem, Option } from "effect"
import type { Socket } from "effect/socket"
import * as ControlLines from "../actors/ipc/ControlLines.ts"
import * as MountControl from "../actors/mcp/MountControl.ts"
import type { Seen } from "../actors/mcp/mount/Instances.ts"
import { MountBoard } from "../actors/mcp/mount/MountBoard.ts"
import * as Target from "../actors/mcp/Target.ts"
import { LocalSocket } from "../core/net/LocalSocket.ts"
import { CliHost } from "./CliHost.ts"
import type { Environment } from "./Command.ts"
import * as ConfigFile from "./ConfigFile.ts"
import { Processes } from "./Processes.ts"

/** What this process mounts. */
export interface Options {
  /** `stdio`, or the URL of its endpoint. */
  readonly serves: string
  readonly instances: () => ReadonlyArray<Seen>
}

/** Where sessions of this mount are told of, to whoever asks until the scope ends. A mount works without its door as well. */
export const open = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<MountBoard, never, Environment> {
  const board = new MountBoard()
  const startedAtMs = yield* Clock.currentTimeMillis
  const { ownPid } = yield* Processes
  const state = (): MountControl.State => ({
    pid: ownPid,
    serves: options.serves,
    startedAtMs,
    instances: options.instances().map(({ rttMs, target, ...seen }) => ({
      target: Target.format([target]),
      ...seen,
      ...(rttMs === undefined ? {} : { rttMs })
    })),
    sessions: board.sessions()
  })
  // The client waits for the mount, nobody for its door.
  yield* serve(board, state).pipe(
    Effect.catchCause((cause) => Effect.logDebug("mcp: this mount cannot be asked how it does", cause)),
    Effect.forkScoped
  )
  return board
})

/** What the running mounts say; with `probe` after their servers were asked. One that does not answer is left out. */
export const ask = Effect.fnUntraced(function* (
  probe: boolean
): Effect.fn.Return<ReadonlyArray<MountControl.State>, never, Environment> {
  const local = yield* LocalSocket
  const { effectiveUid, uid } = yield* CliHost
  const { directory, pids } = yield* found
  const askOne = (pid: number) =>
    Effect.gen(function* () {
      const socket = yield* local.connect(`${directory}/${pid}/${SOCKET}`, [uid, effectiveUid])
      const lines = yield* ControlLines.make(socket, MountControl.State, MountControl.Request)
      yield* lines.write({ op: "status", probe })
      return yield* lines.read
    }).pipe(Effect.scoped, Effect.timeout(REPLY_TIMEOUT), Effect.option)
  const states = yield* Effect.forEach(pids.slice(0, MOUNTS_MAX), askOne, { concurrency: AT_ONCE_MAX })
  return states.flatMap((state) => Option.toArray(state))
})

const serve = Effect.fnUntraced(function* (board: MountBoard, state: () => MountControl.State) {
  const local = yield* LocalSocket
  const { ownPid } = yield* Processes
  const { directory } = yield* sweep
  // Registered first, so that it runs when the socket is gone.
  yield* Effect.addFinalizer(() => remove(`${directory}/${ownPid}`))
  const server = yield* local.listen(`${directory}/${ownPid}/${SOCKET}`)
  return yield* server.run((socket) => converse(socket, board, state))
})

const converse = (socket: Socket.Socket, board: MountBoard, state: () => MountControl.State): Effect.Effect<void> =>
  Effect.gen(function* () {
    const lines = yield* ControlLines.make(socket, MountControl.Request, MountControl.State)
    while (true) {
      const { probe } = yield* lines.read
      if (probe) yield* board.ask
      yield* lines.write(state())
    }
  }).pipe(Effect.scoped, Effect.ignore)

/** Mounts that there are, and those that were killed. */
const found = Effect.gen(function* () {
  const { home } = yield* ConfigFile.directory
  const files = yield* FileSystem.FileSystem
  const directory = `${home}/${MountControl.DIRECTORY}`
  const names = yield* Effect.orElseSucceed(files.readDirectory(directory), () => [])
  const pids = names.filter((name) => /^[1-9][0-9]{0,9}$/.test(name)).map(Number)
  return { directory, pids: pids.sort((one, other) => one - other) }
})

/** Removes what killed mounts left behind. */
const sweep = Effect.gen(function* () {
  const { isAlive } = yield* Processes
  const mounts = yield* found
  for (const pid of mounts.pids) if (!(yield* isAlive(pid))) yield* remove(`${mounts.directory}/${pid}`)
  return mounts
})

const remove = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => Effect.ignore(files.remove(path, { recursive: true, force: true })))

const SOCKET = "sock"
/** Longer than a mount waits for its servers. */
const REPLY_TIMEOUT = "7 seconds"
/** Mounts that are asked, and those asked at the same time. */
const MOUNTS_MAX = 64
const AT_ONCE_MAX = 16
