/** The doors of the mounts and programs of a state directory, for commands. */
import { Clock, Effect } from "effect"
import * as Door from "../../actors/layers/MountDoor.ts"
import type * as MountControl from "../../actors/mcp/MountControl.ts"
import { MountBoard } from "../../actors/mcp/mount/MountBoard.ts"
import { CliHost } from "../CliHost.ts"
import type { Environment } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import { Processes } from "../Processes.ts"

/** Where sessions of this mount are told of, to whoever asks until the scope ends. A mount works without its door as well. */
export const open = Effect.fnUntraced(function* (
  options: Pick<Door.Options, "instances" | "serves">
): Effect.fn.Return<MountBoard, never, Environment> {
  const board = new MountBoard()
  const startedAtMs = yield* Clock.currentTimeMillis
  const { isAlive, ownPid } = yield* Processes
  const { home } = yield* ConfigFile.directory
  // The client waits for the mount, nobody for its door.
  yield* Door.sweep(home, isAlive).pipe(
    Effect.andThen(Door.serve(home, { ...options, board, pid: ownPid, startedAtMs })),
    Effect.catchCause((cause) => Effect.logDebug("mcp: this mount cannot be asked how it does", cause)),
    Effect.forkScoped
  )
  return board
})

/** What running mounts and programs say; with `probe` after their servers were asked. */
export const ask = (probe: boolean): Effect.Effect<ReadonlyArray<MountControl.State>, never, Environment> =>
  Effect.gen(function* () {
    const { effectiveUid, uid } = yield* CliHost
    const { home } = yield* ConfigFile.directory
    return yield* Door.ask(home, [uid, effectiveUid], probe)
  })
