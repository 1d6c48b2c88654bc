/** Every kind of home twice, each one's nodes in a process of their own, and every pair dialled both ways. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import * as NatBox from "./NatBox.ts"
import * as NatHome from "./NatHome.ts"
import * as NatNet from "./NatNet.ts"

/** What one dial came to. */
export interface Dial {
  readonly from: NatBox.Kind
  readonly to: NatBox.Kind
  /** Direct when it is for both ends. */
  readonly path: "direct" | "relay" | "none"
  /** Milliseconds from the beginning of the dial; infinite when it failed. */
  readonly firstByteMs: number
  readonly directMs: number | undefined
}

/**
 * Everything up: the public network, the rendezvous, a home of each kind with its process, and a second one of each of `twins`, so
 * that it can be paired with itself.
 */
export const make = Effect.fnUntraced(function* (
  kinds: ReadonlyArray<NatBox.Kind> = NatBox.KINDS,
  twins: ReadonlyArray<NatBox.Kind> = kinds
) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "pilot-nat-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const program = yield* NatHome.program(directory)
  const world = yield* NatNet.make
  const card = yield* NatHome.rendezvous(world.net, program)
  const side = Effect.fnUntraced(function* (kind: NatBox.Kind) {
    const home = yield* world.home(kind)
    return { ...home, nodes: yield* NatHome.make(home.host, program, directory, card) }
  })
  const homes = yield* Effect.forEach(kinds, side)
  const second = yield* Effect.forEach(twins, side)
  const pairs = homes.flatMap((one) =>
    homes.flatMap((other) => {
      const to = one === other ? second.find(({ kind }) => kind === one.kind) : other
      return to === undefined ? [] : [[one, to] as const]
    })
  )
  return { world, pairs }
})

type Side = Effect.Success<ReturnType<typeof make>>["pairs"][number][0]

/** Two fresh nodes, one dial. */
export const dial = Effect.fnUntraced(function* (from: Side, to: Side, waitMs: number) {
  const name = `${from.kind}/${to.kind}`
  const [own, peer] = yield* Effect.all([from.nodes.open(name), to.nodes.open(name)], { concurrency: 2 })
  const [dialled, other] = yield* Effect.all(
    [
      from.nodes.dial(name, peer, waitMs).pipe(Effect.catchTag("NodeFailed", () => Effect.succeed(FAILED))),
      to.nodes.awaitDirect(name, own, waitMs)
    ],
    { concurrency: 2 }
  )
  yield* Effect.all([from.nodes.close(name), to.nodes.close(name)], { concurrency: 2 })
  const path = dialled.path === "direct" && other.path !== "direct" ? "relay" : dialled.path
  return {
    from: from.kind,
    to: to.kind,
    path,
    firstByteMs: dialled.firstByteMs,
    directMs: dialled.directMs
  } satisfies Dial
})

/** All of them, `concurrency` at once; a direct path is waited for as long as `waitMs` says. */
export const all = (
  { pairs }: Pick<Effect.Success<ReturnType<typeof make>>, "pairs">,
  waitMs: (from: NatBox.Kind, to: NatBox.Kind) => number,
  concurrency: number
) => Effect.forEach(pairs, ([one, other]) => dial(one, other, waitMs(one.kind, other.kind)), { concurrency })

/** A dial that came to nothing. */
const FAILED = { path: "none", firstByteMs: Number.POSITIVE_INFINITY, directMs: undefined } as const
