/**
 * Tells `pilotctl mcp status` which servers of peers this program uses, at a door in the state directory of its node like that
 * of a mount. It is opened with the first `Mcp.connect`, and a program works without it as well.
 */
import { Clock, Context, Effect, type FileSystem, Layer, type Scope } from "effect"
import * as MountDoor from "../actors/layers/MountDoor.ts"
import type { Seen } from "../actors/mcp/mount/Instances.ts"
import { MountBoard } from "../actors/mcp/mount/MountBoard.ts"
import type { LocalSocket } from "../core/net/LocalSocket.ts"

/** Where used servers are told of. */
export interface Mounts {
  /** Tells of these instances until the scope ends; sessions are shown on the board. */
  readonly enter: (seen: () => ReadonlyArray<Seen>) => Effect.Effect<MountBoard | undefined, never, Scope.Scope>
}

/** Nowhere, unless the layer of a node says where. */
export const McpMounts = Context.Reference<Mounts>("effect-pilot/api/McpMounts", {
  defaultValue: () => ({ enter: () => Effect.succeed(undefined) })
})

/** A door in that state directory. */
export const layer = (home: string): Layer.Layer<never, never, FileSystem.FileSystem | LocalSocket> =>
  Layer.effect(
    McpMounts,
    Effect.gen(function* () {
      const surroundings = yield* Effect.context<FileSystem.FileSystem | LocalSocket | Scope.Scope>()
      const entered = new Set<() => ReadonlyArray<Seen>>()
      const board = new MountBoard()
      const open = Effect.gen(function* () {
        const startedAtMs = yield* Clock.currentTimeMillis
        const instances = () => [...entered].flatMap((seen) => seen())
        const { pid, serves } = self()
        yield* MountDoor.serve(home, { board, instances, pid, serves, startedAtMs }).pipe(
          Effect.catchCause((cause) => Effect.logDebug("mcp: this program cannot be asked how it does", cause)),
          Effect.forkScoped
        )
      })
      const opened = yield* Effect.cached(Effect.provideContext(open, surroundings))
      return {
        enter: (seen) =>
          Effect.gen(function* () {
            yield* opened
            yield* Effect.acquireRelease(
              Effect.sync(() => entered.add(seen)),
              () => Effect.sync(() => entered.delete(seen))
            )
            return board
          })
      }
    })
  )

/** The program by its file, without where that is. */
const self = () => {
  const { argv = [], pid = 0 } = globalThis.process ?? {}
  const file = argv[1]?.split(/[\\/]/).at(-1) ?? ""
  return { pid, serves: file === "" ? "a program" : `program ${file}` }
}
