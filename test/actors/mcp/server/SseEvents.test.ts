import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as SseEvents from "../../../../src/actors/mcp/server/SseEvents.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"

const Text = Schema.String
const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))

/** The events of a stream that arrives in pieces of these sizes. */
const eventsOf = (text: string, cuts: ReadonlyArray<number>) => {
  const splitter = new SseEvents.Splitter()
  const bytes = Bytes.fromUtf8(text)
  const events: Array<SseEvents.SseEvent> = []
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    events.push(...Result.getOrThrow(splitter.push(bytes.subarray(at, at + cut))))
    at = Math.min(bytes.length, at + cut)
  }
  return events
}

describe("SseEvents", () => {
  it.prop(
    "messages come out whole, however the bytes are cut (WHATWG HTML §9.2)",
    { text: Text, cuts: Cuts },
    ({ cuts, text }) => {
      const json = JSON.stringify({ jsonrpc: "2.0", result: text.toWellFormed(), id: 1 })
      const events = eventsOf(
        `: comment\nid: s-1\ndata: \n\nretry: 20\r\nevent: message\r\nid: s-2\r\ndata: ${json}\r\n\r\n`,
        cuts
      )
      assert.deepStrictEqual(
        events.map((event) => (event._tag === "Retry" ? event.delayMs : [event.id, Bytes.toUtf8(event.data)])),
        [["s-1", ""], 20, ["s-2", json]]
      )
    }
  )

  it("bytes that are no text, and events beyond the bound, end the stream", () => {
    const broken = new SseEvents.Splitter().push(Uint8Array.of(0x64, 0xff, 0x0a))
    assert.strictEqual(Result.isFailure(broken) && broken.failure.reason, "Utf8")
    const endless = new SseEvents.Splitter()
    const chunk = Bytes.fromUtf8(`data: ${"x".repeat(1_048_576)}\n`)
    const results = Array.from({ length: 20 }, () => endless.push(chunk))
    assert.isTrue(results.some((result) => Result.isFailure(result) && result.failure.reason === "TooLarge"))
  })
})
