import { assert, describe, it } from "@effect/vitest"
import * as TaskRecord from "../../../src/protocol/task/TaskRecord.ts"
import * as TaskReward from "../../../src/protocol/task/TaskReward.ts"
import * as TaskSteps from "../../../src/protocol/task/TaskSteps.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import node from "../../vectors/node.json" with { type: "json" }

const timeText = (atMs: number) => `${new Date(atMs).toISOString().slice(0, 19)}Z`
const at = (text: string) => Date.parse(text)

describe("TaskRecord", () => {
  const fresh: TaskRecord.TaskRecord = {
    ...TaskSteps.fresh({
      ...{ side: "received", id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", description: "sum <1,2>" },
      ...{ peer: NodeId(0x3e9), peerKey: "", from: "0:0000.0000.03E9", to: "0:0000.0001.1172" },
      ...{ createdAtMs: at("2026-02-13T16:25:00Z"), expiresAtMs: 0 }
    }),
    ...{ status: "NEW", justification: "A new task was created" }
  }
  const full: TaskRecord.TaskRecord = {
    ...fresh,
    ...{ status: "SUCCEEDED", justification: "Results sent successfully" },
    ...{ acceptedAtMs: at("2026-02-13T16:25:01Z"), stagedAtMs: at("2026-02-13T16:25:05Z") },
    ...{ startedAtMs: at("2026-02-13T16:25:35Z"), completedAtMs: at("2026-02-13T16:26:40Z") },
    times: { idleMs: 1200, stagedMs: 30, cpuMs: 65_000 }
  }
  const records: Readonly<Record<string, TaskRecord.TaskRecord>> = { new: fresh, succeeded_full: full }

  for (const { name, text } of node.task.files)
    it(`writes the file of the reference: ${name} (node §6.3)`, () => {
      const record = records[name]
      assert.isDefined(record)
      const times = JSON.parse(text) as Record<string, string>
      const aligned = {
        ...record,
        ...(times["accepted_at"] === undefined ? {} : { acceptedAtMs: at(times["accepted_at"]) }),
        ...(times["staged_at"] === undefined ? {} : { stagedAtMs: at(times["staged_at"]) })
      }
      assert.strictEqual(TaskRecord.fileText(aligned, timeText), text)
    })

  for (const { breakdown, time_cpu_ms, time_idle_ms, time_staged_ms } of node.task.polo_reward)
    it(`a task of ${time_cpu_ms}/${time_idle_ms}/${time_staged_ms} ms is worth ${breakdown.final_reward} (node §6.5)`, () => {
      const times = { cpuMs: time_cpu_ms, idleMs: time_idle_ms, stagedMs: time_staged_ms }
      assert.strictEqual(TaskReward.points(times), breakdown.final_reward)
    })

  it("an executor that claims more time than has passed is not believed", () => {
    const claimed = { cpuMs: 3_600_000_000, idleMs: -1, stagedMs: -1 }
    assert.deepStrictEqual(TaskReward.believed(claimed, 60_000), { cpuMs: 60_000, idleMs: 0, stagedMs: 0 })
  })
})
