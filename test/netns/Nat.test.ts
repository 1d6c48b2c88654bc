/** Two nodes behind every pair of translators, as processes on hosts of their own: which path they come to. */
import { fileURLToPath } from "node:url"
import { assert, describe, it, layer } from "@effect/vitest"
import { Console, Context, Effect, Layer, Schema } from "effect"
import * as Namespaces from "./Namespaces.ts"
import * as NatBox from "./NatBox.ts"
import * as NatMatrix from "./NatMatrix.ts"
import * as NatNet from "./NatNet.ts"
import * as NatTable from "./NatTable.ts"

const PROBE = fileURLToPath(new URL("NatProbe.mjs", import.meta.url))
const Behaviour = Schema.fromJsonString(
  Schema.Struct({
    mapping: Schema.Literals(["endpoint-independent", "endpoint-dependent", "blocked"]),
    filtering: Schema.Literals(["none", "address", "port", "blocked"])
  })
)

/** For a path that theory allows. */
const PATIENCE_MS = 15_000
const patience = (from: NatBox.Kind, to: NatBox.Kind) => (NatBox.theory(from, to) === "direct" ? PATIENCE_MS : 0)

/** For one that has to be guessed. */
const GUESS_MS = 25_000

/** Whom the probe asks, until the scope ends. */
const answering = (net: Namespaces.Host) =>
  Effect.flatMap(net.start(process.execPath, PROBE, "serve", ...NatNet.RENDEZVOUS), Namespaces.saidSomething)

/** Kinds with a second home, to be paired with themselves. */
const TWINS = ["port-restricted", "symmetric"] as const

/** What one translator may be to two hosts behind it: `apart`, they do not see each other by their own addresses. */
const HOUSEHOLDS = [
  { apart: false, hairpin: false, path: "direct" },
  { apart: false, hairpin: true, path: "direct" },
  { apart: true, hairpin: true, path: "direct" },
  { apart: true, hairpin: false, path: "relay" }
] as const

/** Everything up, once for all tests: starting it takes longer than most of them. */
class Matrix extends Context.Service<Matrix, Effect.Success<ReturnType<typeof NatMatrix.make>>>()("Matrix") {
  static readonly layer = Layer.effect(Matrix, NatMatrix.make(NatBox.KINDS, TWINS))
}

/** Whoever develops elsewhere has no such hosts; on machines that decide, a missing one is a failure. */
const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

describe.skipIf(!isPossible)("translators (needs Linux, root, iproute2, nftables)", () => {
  it.live("do to UDP what is claimed of each kind", () =>
    Effect.gen(function* () {
      const { home, net } = yield* NatNet.make
      yield* answering(net)
      const seen = yield* Effect.forEach(NatBox.KINDS, (kind) =>
        Effect.gen(function* () {
          const { host } = yield* home(kind)
          const said = yield* host.run(process.execPath, PROBE, "ask", ...NatNet.RENDEZVOUS)
          return [kind, yield* Schema.decodeEffect(Behaviour)(said)] as const
        })
      )
      assert.deepStrictEqual(Object.fromEntries(seen), NatBox.BEHAVIOUR)
    }).pipe(Effect.scoped)
  )

  layer(Matrix.layer, { excludeTestServices: true, timeout: 60_000 })("between two nodes", (it) => {
    it.effect(
      "lead every pair to the path that theory allows, both ways",
      () =>
        Effect.gen(function* () {
          const matrix = yield* Matrix
          const dials = yield* NatMatrix.all(matrix, patience, 4)
          yield* Console.log(NatTable.markdown(dials))

          assert.strictEqual(dials.length, NatBox.KINDS.length * (NatBox.KINDS.length - 1) + TWINS.length)
          const short = dials.filter((dial) => NatTable.isShort(dial) || dial.path === "none")
          assert.deepStrictEqual(short, [])
          const blocked = dials.filter(({ from, to }) => [from, to].includes("UDP blocked"))
          assert.deepStrictEqual([...new Set(blocked.map(({ path }) => path))], ["relay"])
        }),
      180_000
    )

    it.effect(
      "that draw their ports are met by guessing where the other end filters by port",
      () =>
        Effect.gen(function* () {
          const { homes } = yield* Matrix
          const [drawing, filtering] = (["symmetric", "port-restricted"] as const).map(
            (kind) => homes.find((home) => home.kind === kind)!
          )
          // One try in fifty finds nothing, and nodes that have not met try at once.
          const met = (from: (typeof homes)[number], to: (typeof homes)[number]) =>
            Effect.repeat(NatMatrix.dial(from, to, GUESS_MS), { until: ({ path }) => path === "direct", times: 2 })
          const dials = yield* Effect.all([met(drawing!, filtering!), met(filtering!, drawing!)], { concurrency: 2 })
          yield* Console.log(NatTable.markdown(dials))

          assert.deepStrictEqual(
            dials.map(({ path }) => path),
            ["direct", "direct"]
          )
        }),
      120_000
    )

    it.effect(
      "lead two nodes behind one to each other inside it, or by its outside where it hairpins and keeps them apart",
      () =>
        Effect.gen(function* () {
          const { side, world } = yield* Matrix
          const { become, hosts, wan } = yield* world.household
          yield* answering(world.net)
          const [one, other] = yield* Effect.all([side("one", hosts[0]), side("other", hosts[1])])
          const seen = yield* Effect.forEach(HOUSEHOLDS, ({ apart, hairpin, path }) =>
            Effect.gen(function* () {
              yield* become({ apart, hairpin })
              const said = yield* hosts[0].run(process.execPath, PROBE, "hairpin", ...NatNet.RENDEZVOUS)
              assert.deepStrictEqual(JSON.parse(said), { hairpin })
              const waitMs = path === "relay" ? 0 : PATIENCE_MS
              return yield* Effect.all([NatMatrix.dial(one, other, waitMs), NatMatrix.dial(other, one, waitMs)])
            })
          )

          const hostOf = (endpoint = "") => endpoint.replace(/:\d+$/, "")
          for (const [index, { apart, hairpin, path }] of HOUSEHOLDS.entries()) {
            const way = { apart, hairpin, path }
            for (const [from, dial] of [hosts[0], hosts[1]].map((host, end) => [host, seen[index]![end]!] as const)) {
              assert.deepStrictEqual({ apart, hairpin, path: dial.path }, way)
              const inside = hosts.find((host) => host !== from)!.ip
              const places = apart ? [wan] : hairpin ? [inside, wan] : [inside]
              if (path === "direct") assert.include(places, hostOf(dial.endpoint))
            }
          }
        }),
      120_000
    )

    it.effect(
      "are none for IPv6, whose nodes reach each other and those of both families, and by the relay those of IPv4",
      () =>
        Effect.gen(function* () {
          const { homes, side, world } = yield* Matrix
          const six = { registry: `[${NatNet.RENDEZVOUS_V6}]:9000`, beacon: `[${NatNet.RENDEZVOUS_V6}]:9001` }
          const on = { ...six, wss: `wss://[${NatNet.RENDEZVOUS_V6}]` }
          const [one, other] = yield* Effect.all([
            Effect.flatMap(world.sixOnly, (host) => side("one of IPv6", host, on)),
            Effect.flatMap(world.sixOnly, (host) => side("another of IPv6", host, on))
          ])
          const four = homes.filter(({ kind }) => ["open", "port-restricted", "UDP blocked"].includes(kind))
          const pairs = four.flatMap((home) => [[one, home] as const, [home, one] as const])
          const relayed = yield* Effect.forEach(pairs, ([from, to]) => NatMatrix.dial<string>(from, to, 0), {
            concurrency: 3
          })
          const direct = yield* Effect.all([
            NatMatrix.dial<string>(one, other, PATIENCE_MS),
            NatMatrix.dial<string>(other, one, PATIENCE_MS)
          ])

          assert.deepStrictEqual(
            relayed.map(({ path }) => path),
            pairs.map(() => "relay")
          )
          assert.deepStrictEqual(
            direct.map(({ path }) => path),
            ["direct", "direct"]
          )

          const dual = yield* Effect.forEach(["symmetric", "symmetric"] as const, (kind) =>
            Effect.flatMap(world.both(kind), (host) => side("both families", host))
          )
          const [two, another] = [dual[0]!, dual[1]!]
          const bySix = yield* Effect.forEach(
            [[two, another] as const, [two, one] as const, [one, two] as const],
            ([from, to]) => NatMatrix.dial<string>(from, to, PATIENCE_MS)
          )
          for (const { endpoint, path, to } of bySix) {
            assert.strictEqual(path, "direct", to)
            assert.match(endpoint ?? "", /^\[2001:db8::/)
          }
        }),
      120_000
    )
  })
})
