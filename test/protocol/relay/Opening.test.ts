import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import { Opening } from "../../../src/protocol/relay/Opening.ts"

const feed = (opening: Opening, direction: "sent" | "received", text: string): void => {
  const bytes = Bytes.fromUtf8(text)
  opening[direction](bytes, Result.getOrThrow(JsonRpcPeek.peek(bytes)))
}

const answer = (revision: string, capabilities: string, id = "0") =>
  `{"jsonrpc":"2.0","id":${id},"result":{"protocolVersion":"${revision}","capabilities":${capabilities},"serverInfo":{"name":"s"}}}`

describe("Opening", () => {
  const opened = () => {
    const opening = new Opening()
    feed(opening, "sent", '{"id":0,"method":"initialize","params":{}}')
    feed(opening, "received", answer("2025-11-25", '{"tools":{"a":1,"b":2}}'))
    feed(opening, "sent", '{"method":"notifications/initialized"}')
    return opening
  }

  it("repeats what opened the session, in order, and nothing else (mcp §6.3)", () => {
    const opening = opened()
    feed(opening, "sent", '{"id":1,"method":"tools/list"}')
    feed(opening, "sent", '{"id":2,"method":"logging/setLevel","params":{"level":"info"}}')
    feed(opening, "sent", '{"id":3,"method":"resources/subscribe","params":{"uri":"a"}}')
    feed(opening, "sent", '{"id":4,"method":"resources/subscribe","params":{"uri":"b"}}')
    feed(opening, "sent", '{"id":5,"method":"resources/unsubscribe","params":{"uri":"a"}}')
    feed(opening, "sent", '{"id":6,"method":"logging/setLevel","params":{"level":"debug"}}')

    assert.deepStrictEqual(
      opening.replays.map(({ id }) => id),
      ["0", undefined, "4", "6"]
    )
  })

  it("nothing is repeated before a server has answered initialize", () => {
    const opening = new Opening()
    feed(opening, "sent", '{"id":0,"method":"initialize","params":{}}')
    assert.isFalse(opening.isComplete)
    feed(opening, "received", answer("2025-11-25", "{}", "1"))
    assert.isFalse(opening.isComplete)
    feed(opening, "received", answer("2025-11-25", "{}"))
    assert.isTrue(opening.isComplete)
  })

  it("another server is told from the same one by revision and capabilities, in any key order (mcp §6.3)", () => {
    const isSame = (text: string) => opened().isSame(Bytes.fromUtf8(text))

    assert.isTrue(isSame(answer("2025-11-25", '{"tools":{"b":2,"a":1}}')))
    assert.isFalse(isSame(answer("2025-06-18", '{"tools":{"a":1,"b":2}}')))
    assert.isFalse(isSame(answer("2025-11-25", '{"tools":{"a":1}}')))
    assert.isFalse(isSame('{"id":0,"error":{"code":1,"message":""}}'))
  })
})
