/** The page of benchmarks shows what is under review in a snapshot, not what once was. */
import { assert, describe, it } from "@effect/vitest"
import * as Markdown from "../support/Markdown.ts"

describe("docs/benchmarks.md", () => {
  it("shows the reviewed table of throughput against loss, delay and controller", () => {
    const snapshots = Markdown.read("test/protocol/stream/__snapshots__/Throughput.test.ts.snap")
    const table = /docs\/benchmarks\.md shows 1`\] = `\n"([^"]+)"/.exec(snapshots)?.[1]

    assert.include(Markdown.read("docs/benchmarks.md"), table ?? "a table in the snapshot")
  })
})
