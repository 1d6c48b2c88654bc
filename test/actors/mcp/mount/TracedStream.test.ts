import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Tracer } from "effect"
import * as McpClient from "../../../../src/actors/mcp/client/McpClient.ts"
import * as TracedStream from "../../../../src/actors/mcp/mount/TracedStream.ts"
import * as NativeCrypto from "../../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import * as Kitchen from "../../../support/Kitchen.ts"

/** A tracer that keeps its spans. */
const recorder = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

const parentOf = (span: Tracer.Span): string | undefined => Option.getOrUndefined(span.parent)?.spanId

/** A kitchen behind shim and keeper. */
const open = Effect.gen(function* () {
  const log = yield* Kitchen.Log.make
  const rig = yield* Kitchen.rig(log)
  return yield* McpClient.make(yield* rig.client("kitchen"), { name: "test", version: "1" })
}).pipe(Effect.provide(NativeCrypto.layer))

describe("TracedStream", () => {
  it.live(
    "one call is one trace: program, client, shim, keeper and server, each under the one that named it (mcp §1.4)",
    () =>
      Effect.gen(function* () {
        const { spans, tracer } = recorder()
        const program = Effect.flatMap(open, (client) =>
          Effect.withSpan(client.request("tools/call", { name: "add", arguments: { a: 1, b: 2 } }), "program")
        )
        yield* Effect.provideService(program, Tracer.Tracer, tracer)

        const root = spans.find(({ name }) => name === "program")
        const calls = spans.filter(({ name, traceId }) => name === "tools/call add" && traceId === root?.traceId)
        const client = calls.find(({ kind }) => kind === "client")
        assert.strictEqual(client && parentOf(client), root?.spanId)
        const others = calls.filter((span) => span !== client)
        assert.deepStrictEqual(
          others.map(({ attributes, kind }) => [kind, attributes.get("mcp.service")]),
          [
            ["internal", "mcp-host/kitchen"],
            ["server", "kitchen"],
            ["server", undefined]
          ]
        )
        for (const span of others) assert.strictEqual(parentOf(span), client?.spanId)
        assert.isTrue(calls.every(({ status }) => status._tag === "Ended"))
      })
  )

  it.live("a client without a trace gets one: the shim's span is the root that keeper and server are told of", () =>
    Effect.gen(function* () {
      const { spans, tracer } = recorder()
      const [near, far] = yield* DuplexPair.make
      const stream = yield* Effect.provideService(
        TracedStream.traced(far, { requests: "read", kind: "internal", attributes: {} }),
        Tracer.Tracer,
        tracer
      )
      yield* near.write(new TextEncoder().encode('{"jsonrpc":"2.0","id":"7","method":"tools/call",'))
      yield* near.write(new TextEncoder().encode('"params":{"name":"x"}}\n'))
      const passed = Json.parseObject(new TextDecoder().decode(yield* stream.read)) ?? {}

      const [span] = spans
      const params = Json.member(passed, "params")
      const meta = Json.isObject(params) ? Json.member(params, "_meta") : undefined
      assert.deepStrictEqual(meta, { traceparent: `00-${span?.traceId}-${span?.spanId}-01` })
      assert.strictEqual(span?.status._tag, "Started")

      yield* stream.write(new TextEncoder().encode('{"jsonrpc":"2.0","id":"7","result":{}}\n'))
      assert.strictEqual(span?.status._tag, "Ended")
    })
  )

  it.live("without a tracer the stream is the stream itself, and nothing is added to a request", () =>
    Effect.gen(function* () {
      const [near] = yield* DuplexPair.make

      assert.strictEqual(yield* TracedStream.traced(near, { requests: "read", kind: "internal", attributes: {} }), near)
    })
  )
})
