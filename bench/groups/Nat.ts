/** Every pair of translators, dialled both ways between hosts of their own: which path, and how soon. */
import { Console, Context, Effect, Schema } from "effect"
import * as NatBox from "../../test/netns/NatBox.ts"
import * as NatFailover from "../../test/netns/NatFailover.ts"
import * as NatMatrix from "../../test/netns/NatMatrix.ts"
import * as NatTable from "../../test/netns/NatTable.ts"
import type { Figure } from "../Figure.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

/** The kinds that are dialled, all of them if none is named. */
export const Kinds = Context.Reference<ReadonlyArray<string>>("bench/nat/Kinds", { defaultValue: () => [] })

/** There are no such hosts here. */
class Impossible extends Schema.TaggedError<Impossible>()("Impossible", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const measure = Effect.gen(function* () {
  const named = yield* Kinds
  const matrix = yield* NatMatrix.make(NatBox.KINDS.filter((kind) => named.length === 0 || named.includes(kind)))
  yield* Console.log("a first round, which pays for the compiler …")
  yield* NatMatrix.all(matrix, () => 0, 4)
  yield* Console.log("one after the other …")
  const dials = yield* NatMatrix.all(matrix, () => DIRECT_MS, 1)
  yield* Console.log(`\n${NatTable.markdown(dials)}\n`)
  yield* Console.log("ways that die and change …")
  const times = yield* NatFailover.measure(matrix)
  const possible = dials.filter(({ from, to }) => NatBox.theory(from, to) === "direct")
  const direct = possible.filter(({ path }) => path === "direct")
  const firstBytes = dials.flatMap(({ firstByteMs }) => (Number.isFinite(firstByteMs) ? [firstByteMs] : []))
  return [
    {
      name: `dials that came to be direct, of ${dials.length}`,
      unit: "",
      ours: dials.filter(({ path }) => path === "direct").length,
      ceiling: { value: possible.length, of: "theory, without guessing ports" }
    },
    { name: "dials that failed", unit: "", ours: dials.length - firstBytes.length },
    { name: "first byte, median of all pairs", unit: "ms", ours: Statistics.median(firstBytes) },
    {
      name: "first byte, the slowest pair",
      unit: "ms",
      ours: Math.max(...firstBytes),
      bar: { kind: "atMost", value: FIRST_BYTE_MS }
    },
    {
      name: "direct path, the slowest of those that came to be direct",
      unit: "ms",
      ours: Math.max(...direct.map(({ directMs }) => directMs ?? Number.POSITIVE_INFINITY)),
      bar: { kind: "atMost", value: 1000 }
    },
    {
      name: "a stream is silent when its direct path dies",
      unit: "ms",
      ours: times.deathMs,
      bar: { kind: "atMost", value: 1000 }
    },
    {
      name: "the direct path is used again after it came back",
      unit: "ms",
      ours: times.returnMs ?? Number.POSITIVE_INFINITY
    },
    {
      name: "a stream is silent when its host changes to another network",
      unit: "ms",
      ours: times.roamingMs,
      bar: { kind: "atMost", value: 1000 }
    },
    { name: "an idle node's UDP, both directions", unit: "bytes/h", ours: times.idleBytesAnHour }
  ] satisfies ReadonlyArray<Figure>
}).pipe(
  Effect.catch((error) =>
    Effect.fail(new Impossible({ detail: `needs Linux, root, iproute2 and nftables: ${JSON.stringify(error)}` }))
  )
)

/** The rows about paths. */
export const group: Group = {
  name: "nat",
  about:
    "every pair of translators in network namespaces: path, first byte, time to the direct path; failover; keepalive (needs root)",
  seconds: 270,
  run: measure
}

/** How long a direct path is waited for. */
const DIRECT_MS = 2000
/** Three round trips to a rendezvous that is next door, and 100 ms. */
const FIRST_BYTE_MS = 100
