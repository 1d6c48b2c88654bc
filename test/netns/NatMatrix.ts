/** Every kind of home twice, each one's nodes in a process of their own, and every pair dialled both ways. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type * as Namespaces from "./Namespaces.ts"
import * as NatBox from "./NatBox.ts"
import * as NatHome from "./NatHome.ts"
import * as NatNet from "./NatNet.ts"

/** What one dial came to. */
export interface Dial<Kind extends string = NatBox.Kind> {
  readonly from: Kind
  readonly to: Kind
  /** Direct when it is for both ends. */
  readonly path: "direct" | "relay" | "none"
  /** Where a direct path leads, as the end that dialled has it. */
  readonly endpoint: string | undefined
  /** Milliseconds from the beginning of the dial; infinite when it failed. */
  readonly firstByteMs: number
  readonly directMs: number | undefined
  /** Why it failed. */
  readonly detail?: string
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
  /** A host's process of nodes; `on` is where it finds the rendezvous if not where all others do. */
  const side = <Kind extends string>(kind: Kind, host: Namespaces.Host, on: Partial<typeof card> = {}) =>
    Effect.map(
      NatHome.make(host, program, directory, { ...card, ...on }),
      (nodes): Side<Kind> => ({ kind, host, nodes })
    )
  const placed = Effect.fnUntraced(function* (kind: NatBox.Kind) {
    const { host } = yield* world.home(kind)
    return yield* side(kind, host)
  })
  const homes = yield* Effect.forEach(kinds, placed)
  const second = yield* Effect.forEach(twins, placed)
  // Each in turn with the one next to it, then with the one after that: so none has many nodes at once.
  const pairs = homes.flatMap((_, distance) =>
    homes.flatMap((one, index) => {
      const other = homes[(index + distance) % homes.length]
      const to = distance === 0 ? second.find(({ kind }) => kind === one.kind) : other
      return to === undefined ? [] : [[one, to] as const]
    })
  )
  return { world, homes, pairs, side }
})

/** A host that can be dialled from, and to. */
export interface Side<Kind extends string> {
  readonly kind: Kind
  readonly host: Namespaces.Host
  readonly nodes: Effect.Success<ReturnType<typeof NatHome.make>>
}

/** Two nodes that trust each other and have not met, one dial. */
export const dial = <Kind extends string>(from: Side<Kind>, to: Side<Kind>, waitMs: number) =>
  Effect.gen(function* () {
    const name = `${from.kind}/${to.kind}`
    const [own, peer] = yield* Effect.all([from.nodes.take, to.nodes.take], { concurrency: 2 })
    yield* Effect.all([from.nodes.open(name, own, peer), to.nodes.open(name, peer, own)], { concurrency: 2 })
    const [dialled, other] = yield* Effect.all(
      [
        from.nodes
          .dial(name, peer.address, waitMs)
          .pipe(Effect.catchTag("NodeFailed", ({ detail }) => Effect.succeed({ ...FAILED, detail }))),
        to.nodes.awaitDirect(name, own.address, waitMs)
      ],
      { concurrency: 2 }
    )
    yield* Effect.all([from.nodes.close(name, own, peer), to.nodes.close(name, peer, own)], { concurrency: 2 })
    const path = dialled.path === "direct" && other.path !== "direct" ? "relay" : dialled.path
    return {
      from: from.kind,
      to: to.kind,
      path,
      endpoint: path === "direct" ? dialled.endpoint : undefined,
      firstByteMs: dialled.firstByteMs,
      directMs: dialled.directMs,
      ...("detail" in dialled && { detail: dialled.detail })
    } satisfies Dial<Kind>
  })

/** All of them, `concurrency` at once; a direct path is waited for as long as `waitMs` says. */
export const all = (
  { pairs }: Pick<Effect.Success<ReturnType<typeof make>>, "pairs">,
  waitMs: (from: NatBox.Kind, to: NatBox.Kind) => number,
  concurrency: number
) => Effect.forEach(pairs, ([one, other]) => dial(one, other, waitMs(one.kind, other.kind)), { concurrency })

/** A dial that came to nothing. */
const FAILED = {
  path: "none",
  endpoint: undefined,
  firstByteMs: Number.POSITIVE_INFINITY,
  directMs: undefined
} as const
