import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as TaskFrame from "../../../src/protocol/wire/TaskFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import node from "../../vectors/node.json" with { type: "json" }

const frameOf = (bytes: Uint8Array): DataFrame.DataFrame => {
  const [frame, ...others] = new DataFrame.DataFrameSplitter().push(bytes).frames
  assert.isDefined(frame)
  assert.isEmpty(others)
  return frame
}
const read = (bytes: Uint8Array, isAnswer = false) => success(TaskFrame.decode(frameOf(bytes), isAnswer))
const json = (kind: number, value: unknown) =>
  TaskFrame.decode({ kind, payload: Bytes.fromUtf8(JSON.stringify(value)) }, false)

describe("TaskFrame", () => {
  for (const vector of node.task.frames) {
    if (vector.type_name === "RESULT") {
      it("the legacy result is no message (node §6.1)", () => {
        const refused = failure(TaskFrame.decode(frameOf(hex(vector.hex)), false))
        assert.deepStrictEqual(refused, { _tag: "UnknownType", type: 2 })
      })
      continue
    }
    it(`reads and writes the vector ${vector.name} to the byte`, () => {
      const message = read(hex(vector.hex), vector.name.startsWith("submit_response"))
      assert.strictEqual(Bytes.toHex(TaskFrame.encode(message)), vector.hex)
    })
  }

  it("knows what is ours, and leaves what the reference reads as it is", () => {
    const submit: TaskFrame.TaskFrame = {
      ...{ _tag: "Submit", id: "a-1", description: "sum", from: "0:0000.0000.0001", to: "0:0000.0000.0002" },
      ours: { kind: "research", lifeMs: 60_000, priority: 3 }
    }
    const answer: TaskFrame.TaskFrame = { _tag: "Answer", id: "a-1", isTaken: true, message: "yes", isOurs: true }
    const status: TaskFrame.TaskFrame = {
      ...{ _tag: "Status", id: "a-1", status: "EXECUTING", justification: "x" },
      ours: { revision: 7, progress: '{"done":1}' }
    }
    const receipt: TaskFrame.TaskFrame = { _tag: "Receipt", id: "a-1", revision: 7 }
    for (const message of [submit, status, receipt]) assert.deepStrictEqual(read(TaskFrame.encode(message)), message)
    assert.deepStrictEqual(read(TaskFrame.encode(answer), true), answer)
    const text = Bytes.toUtf8Lossy(TaskFrame.encode(submit)).slice(8)
    assert.isTrue(
      text.startsWith(
        '{"task_id":"a-1","task_description":"sum","from_addr":"0:0000.0000.0001","to_addr":"0:0000.0000.0002","ep":{'
      )
    )
  })

  it("an extension of another version, or that is none, is not ours; wishes are kept in their bounds", () => {
    for (const ep of [undefined, null, 1, [], { v: 2, revision: 9 }]) {
      const message = success(json(TaskFrame.Kind.Status, { task_id: "a", status: "NEW", justification: "", ep }))
      assert.strictEqual(message._tag === "Status" ? message.ours : 0, undefined)
    }
    const wild = success(json(TaskFrame.Kind.Submit, { task_id: "a", ep: { v: 1, priority: 1e9, life_ms: -5 } }))
    assert.deepStrictEqual(wild._tag === "Submit" ? wild.ours : undefined, {
      ...{ kind: "", priority: TaskFrame.PRIORITY_MAX, lifeMs: 0 }
    })
  })

  it("refuses what is no JSON, no base64, or no kind that it knows", () => {
    assert.isTrue(Result.isFailure(TaskFrame.decode({ kind: 1, payload: Bytes.fromUtf8("[1]") }, false)))
    assert.isTrue(Result.isFailure(TaskFrame.decode({ kind: 1, payload: Uint8Array.of(0xff) }, false)))
    assert.isTrue(Result.isFailure(json(TaskFrame.Kind.Results, { task_id: "a", result_type: "file", file_data: "*" })))
    assert.isTrue(Result.isFailure(json(9, {})))
  })

  it.prop("results come through as they are", { text: Arb.utf8, content: Arb.bytes(40), name: Arb.utf8 }, (given) => {
    const base = { _tag: "Results", id: "a", completedAt: "2026-02-13T16:26:40Z", ours: undefined } as const
    const times = { idleMs: 0, stagedMs: 5, cpuMs: 7 }
    const outcomes: ReadonlyArray<TaskFrame.Outcome> = [
      { _tag: "Text", text: given.text.toWellFormed() },
      { _tag: "File", name: given.name.toWellFormed(), content: given.content }
    ]
    for (const result of outcomes) {
      const message: TaskFrame.TaskFrame = { ...base, times, result }
      assert.deepStrictEqual(read(TaskFrame.encode(message)), message)
    }
  })

  it("ids have the reference's form, and only names of files are ids (node §6.1)", () => {
    assert.strictEqual(TaskFrame.idOf(hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    for (const bad of ["", "../evil", "a b", "a/b", "a\0", "x".repeat(65), "é"])
      assert.isFalse(TaskFrame.isId(bad), bad)
  })
})
