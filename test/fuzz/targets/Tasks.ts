/** Tasks: frames, what a table does with them, and names of results. */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Executing from "../../../src/protocol/task/Executing.ts"
import * as Submitting from "../../../src/protocol/task/Submitting.ts"
import { LIMITS, TaskTable } from "../../../src/protocol/task/TaskTable.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as TaskFrame from "../../../src/protocol/wire/TaskFrame.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertStable } from "../Oracle.ts"

const ours = { revision: 2, progress: '{"done":1}' }
const times = { idleMs: 1, stagedMs: 0, cpuMs: 5 }
const SAMPLES: ReadonlyArray<TaskFrame.TaskFrame> = [
  { _tag: "Submit", id: "a-1", description: "sum", from: "", to: "", ours: { kind: "k", lifeMs: 9, priority: 1 } },
  { _tag: "Submit", id: "a-2", description: "sum", from: "", to: "", ours: undefined },
  { _tag: "Status", id: "a-1", status: "CANCELLED", justification: "", ours },
  { _tag: "Results", id: "a-1", result: { _tag: "Text", text: "3" }, completedAt: "", times, ours },
  {
    ...{ _tag: "Results", id: "b", completedAt: "", times, ours: undefined },
    result: { _tag: "File", name: "../x", content: new Uint8Array(3) }
  },
  { _tag: "Receipt", id: "a-1", revision: 2 }
]
const peer = { address: Address.make(0, 2), key: "k" }

/** Frames of a peer, one behind the other, to a table that knows one task of each side. */
const feed = (bytes: Uint8Array): unknown => {
  const table = new TaskTable({ ...LIMITS, openMax: 4 })
  const offer = { id: "b", to: peer, from: Address.make(0, 1), description: "x", kind: "", lifeMs: 0, priority: 0 }
  Submitting.submit(table, offer, 0)
  const { frames } = new DataFrame.DataFrameSplitter(4096).push(bytes)
  for (const [index, frame] of frames.entries()) {
    const message = Result.getOrUndefined(TaskFrame.decode(frame, false))
    if (message?._tag === "Submit") Executing.receive(table, message, peer, peer.address, index)
    if (message?._tag === "Status") Submitting.heard(table, message, peer, index)
    if (message?._tag === "Results")
      Submitting.completed(table, message, { type: "text", name: "", path: "/r", sizeBytes: 0 }, peer, index)
  }
  table.due(frames.length)
  for (const { id } of table.all("received"))
    if (!TaskFrame.isId(id)) throw new Error("an id that is no name of a file")
  if (table.all("received").length > 4) throw new Error("more tasks than allowed")
  return table.drain()
}

/** Everything of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "wire/TaskFrame",
    covers: [TaskFrame.decode],
    samples: () => SAMPLES.map((sample) => TaskFrame.encode(sample)),
    decode: (bytes) => {
      const [frame] = new DataFrame.DataFrameSplitter(4096).push(bytes).frames
      if (frame === undefined) return undefined
      const decode = (payload: Uint8Array) => TaskFrame.decode({ kind: frame.kind, payload }, false)
      return assertStable(
        decode,
        (message) => TaskFrame.encode(message).subarray(DataFrame.HEADER_BYTES),
        frame.payload
      )
    }
  }),
  Fuzzer.decoder({
    name: "task/TaskTable",
    covers: [TaskTable],
    samples: () => [Bytes.concat(...SAMPLES.map((sample) => TaskFrame.encode(sample)))],
    decode: feed
  })
]
