import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as CallArguments from "../../../src/protocol/relay/CallArguments.ts"
import * as CallResult from "../../../src/protocol/relay/CallResult.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../../src/protocol/relay/JsonScanner.ts"
import * as RawJson from "../../../src/protocol/relay/RawJson.ts"
import * as TraceMeta from "../../../src/protocol/relay/TraceMeta.ts"

const Entries = Schema.Array(
  Schema.Struct({
    key: Schema.Literals([
      ...([
        "id",
        "method",
        "params",
        "result",
        "error",
        "arguments",
        "_meta",
        "traceparent",
        "isError",
        "code"
      ] as const),
      // As JSON may also spell them.
      ...(["p\\u0061rams", "\\u005fmeta", "argument", "résult", ""] as const)
    ]),
    value: Schema.Literals(["1", "true", "null", '"00-a-b-01"', '"a\\"b"', "[1]", "{ }", "INNER", " INNER ", "-31005"])
  })
)

/** An object of the first entries, whose inner objects are of the next. */
const textOf = ([own = [], ...inner]: ReadonlyArray<typeof Entries.Type>): string =>
  `{${own.map(({ key, value }) => `"${key}":${inner.length === 0 ? value.replace("INNER", "0") : value.replace("INNER", textOf(inner))}`).join(",")}}`

/** As it is read in as many passes as there are questions. */
const resultOf = (bytes: Uint8Array): CallResult.CallResult => {
  const whole = { start: 0, end: bytes.length }
  const result = RawJson.only(bytes, whole, "result")
  if (result === undefined || result === RawJson.TWICE) {
    const code = Number(JsonRpcPeek.member(bytes, ["error", "code"]))
    return { ...CallResult.NONE, code: Number.isSafeInteger(code) ? code : 0 }
  }
  const [isError] = RawJson.members(bytes, result, "isError")
  const isToolError = isError !== undefined && JsonScanner.text(bytes, isError) === "true"
  return { code: undefined, isToolError, result }
}

describe("JsonRpcPeek.look", () => {
  it.prop(
    "one pass shows what a pass for each question does, also where names occur twice (mcp §6.10)",
    { outer: Entries, middle: Entries, inner: Entries, innermost: Entries },
    ({ inner, innermost, middle, outer }) => {
      const text = textOf([outer, middle, inner, innermost])
      const bytes = Bytes.fromUtf8(text)
      const looked = JsonRpcPeek.look(bytes)
      assert.deepStrictEqual(
        Result.map(looked, ({ envelope }) => envelope),
        JsonRpcPeek.peek(bytes)
      )
      if (Result.isFailure(looked)) return
      const { members } = looked.success
      const whole = { start: 0, end: bytes.length }
      const spanOf = (span: ReturnType<typeof CallArguments.raw>) =>
        typeof span === "object" ? bytes.subarray(span.start, span.end) : span

      assert.deepStrictEqual(spanOf(CallArguments.of(members)), spanOf(CallArguments.raw(bytes, whole)), text)
      assert.strictEqual(TraceMeta.traceparentIn(bytes, members), TraceMeta.traceparentOf(bytes), text)
      const { result, ...said } = CallResult.read(bytes)
      const { result: expected, ...before } = resultOf(bytes)
      assert.deepStrictEqual(said, before, text)
      assert.deepStrictEqual(spanOf(result), spanOf(expected), text)
    },
    { arbitrary: { runs: 2000 } }
  )
})
