/**
 * The doors of whatever uses services of peers, mounts and programs: each answers at a socket of its own below the state
 * directory, and `mcp status` asks all of them.
 */
import { Effect, FileSystem, Option, type Scope } from "effect"
import type { Socket, SocketServer } from "effect/socket"
import { LocalSocket, type LocalSocketError } from "../../core/net/LocalSocket.ts"
import * as ControlLines from "../ipc/ControlLines.ts"
import * as MountControl from "../mcp/MountControl.ts"
import type { Seen } from "../mcp/mount/Instances.ts"
import type { MountBoard } from "../mcp/mount/MountBoard.ts"
import * as Target from "../mcp/Target.ts"

/** What this process uses. */
export interface Options {
  readonly pid: number
  readonly startedAtMs: number
  /** `stdio`, the URL of its endpoint, or which program it is. */
  readonly serves: string
  readonly instances: () => ReadonlyArray<Seen>
  readonly board: MountBoard
}

/** Answers whoever asks in the state directory `home`, until the scope ends. */
export const serve = Effect.fnUntraced(function* (
  home: string,
  options: Options
): Effect.fn.Return<
  never,
  LocalSocketError | SocketServer.SocketServerError,
  FileSystem.FileSystem | LocalSocket | Scope.Scope
> {
  const { board, pid, serves, startedAtMs } = options
  const state = (): MountControl.State => ({
    ...{ pid, serves, startedAtMs },
    instances: options.instances().map(({ rttMs, target, ...seen }) => ({
      target: Target.format([target]),
      ...seen,
      ...(rttMs === undefined ? {} : { rttMs })
    })),
    sessions: board.sessions()
  })
  const server = yield* listen(home, pid)
  return yield* server.run((socket) => converse(socket, board, state))
})

/** What all of them say; with `probe` after their servers were asked. One that does not answer is left out. */
export const ask = Effect.fnUntraced(function* (
  home: string,
  owners: ReadonlyArray<number>,
  probe: boolean
): Effect.fn.Return<ReadonlyArray<MountControl.State>, never, FileSystem.FileSystem | LocalSocket> {
  const local = yield* LocalSocket
  const doors = yield* found(home)
  const askOne = ({ path }: Door) =>
    Effect.gen(function* () {
      const socket = yield* local.connect(`${path}/${SOCKET}`, owners)
      const lines = yield* ControlLines.make(socket, MountControl.State, MountControl.Request)
      yield* lines.write({ op: "status", probe })
      return yield* lines.read
    }).pipe(Effect.scoped, Effect.timeout(REPLY_TIMEOUT), Effect.option)
  const states = yield* Effect.forEach(doors.slice(0, DOORS_MAX), askOne, { concurrency: AT_ONCE_MAX })
  return states.flatMap((state) => Option.toArray(state))
})

/** Removes what killed processes left behind. */
export const sweep = Effect.fnUntraced(function* (
  home: string,
  isAlive: (pid: number) => Effect.Effect<boolean>
): Effect.fn.Return<void, never, FileSystem.FileSystem> {
  for (const { path, pid } of yield* found(home)) if (!(yield* isAlive(pid))) yield* remove(path)
})

/** A program may have several, each with sessions of its own. */
const listen = Effect.fnUntraced(function* (home: string, pid: number) {
  const local = yield* LocalSocket
  const at = Effect.fnUntraced(function* (index: number) {
    const path = `${home}/${MountControl.DIRECTORY}/${pid}${index === 0 ? "" : `.${index}`}`
    let isOurs = false
    // Registered first, so that it runs when the socket is gone.
    yield* Effect.addFinalizer(() => (isOurs ? remove(path) : Effect.void))
    const server = yield* local.listen(`${path}/${SOCKET}`)
    isOurs = true
    return server
  })
  const open = (index: number): ReturnType<typeof at> =>
    Effect.catchIf(
      at(index),
      ({ reason }) => reason === "AlreadyServed" && index + 1 < OWN_MAX,
      () => open(index + 1)
    )
  return yield* open(0)
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

interface Door {
  readonly path: string
  readonly pid: number
}

/** Those that there are, and those of processes that were killed. */
const found = Effect.fnUntraced(function* (home: string) {
  const files = yield* FileSystem.FileSystem
  const directory = `${home}/${MountControl.DIRECTORY}`
  const names = yield* Effect.orElseSucceed(files.readDirectory(directory), () => [])
  return names
    .filter((name) => /^[1-9][0-9]{0,9}(\.[1-9][0-9]?)?$/.test(name))
    .map((name): Door => ({ path: `${directory}/${name}`, pid: Number.parseInt(name, 10) }))
    .sort((one, other) => one.pid - other.pid)
})

const remove = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => Effect.ignore(files.remove(path, { recursive: true, force: true })))

const SOCKET = "sock"
/** Longer than a mount waits for its servers. */
const REPLY_TIMEOUT = "7 seconds"
/** Those that are asked, and those asked at the same time. */
const DOORS_MAX = 64
const AT_ONCE_MAX = 16
/** Of one process. */
const OWN_MAX = 16
