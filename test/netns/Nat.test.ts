/** Two nodes behind every pair of translators, as processes on hosts of their own: which path they come to. */
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Schema } from "effect"
import * as Markdown from "../support/Markdown.ts"
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

/** Pairs that stay on the relay although theory allows more. */
const NOT_YET = ["open to symmetric", "full cone to symmetric", "address-restricted to symmetric"]
/** For a path that theory allows. */
const PATIENCE_MS = 15_000

/** Whoever develops elsewhere has no such hosts; on machines that decide, a missing one is a failure. */
const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

describe.skipIf(!isPossible)("translators (needs Linux, root, iproute2, nftables)", () => {
  it.live("do to UDP what is claimed of each kind", () =>
    Effect.gen(function* () {
      const { home, net } = yield* NatNet.make
      yield* Effect.flatMap(net.start(process.execPath, PROBE, "serve", ...NatNet.RENDEZVOUS), Namespaces.saidSomething)
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

  it.live(
    "lead every pair to the path that theory allows, both ways, but for what docs/nat-traversal.md lists",
    () =>
      Effect.gen(function* () {
        const kinds = NatBox.KINDS.filter((kind) => kind !== "UDP blocked")
        const matrix = yield* NatMatrix.make(kinds, ["port-restricted", "symmetric"])
        const dials = yield* NatMatrix.all(
          matrix,
          (from, to) =>
            NatBox.theory(from, to) === "direct" && !NOT_YET.includes(`${from} to ${to}`) ? PATIENCE_MS : 0,
          4
        )
        yield* Console.log(NatTable.markdown(dials))

        assert.strictEqual(dials.length, 32)
        const short = dials.filter(NatTable.isShort).map(({ from, to }) => `${from} to ${to}`)
        assert.deepStrictEqual(
          short.filter((pair) => !NOT_YET.includes(pair)),
          []
        )
        assert.deepStrictEqual(
          dials.filter(({ path }) => path === "none"),
          []
        )
        const page = Markdown.read("docs/nat-traversal.md")
        for (const pair of NOT_YET) assert.include(page, `- ${pair}`)
      }).pipe(Effect.scoped),
    240_000
  )
})
