import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as StateFile from "../../../src/core/storage/StateFile.ts"

const LIMITS = { bytesMax: 1_048_576, nowMs: () => 7 }
const bytes = (text: string) => new TextEncoder().encode(text)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "pilot-state-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const Name = Schema.Literals(["a", "b", "c"])
const Step = Schema.Union([
  Schema.Struct({ step: Schema.Literal("set"), name: Name, value: Schema.Int }),
  Schema.Struct({ step: Schema.Literal("unset"), name: Name }),
  Schema.Struct({ step: Schema.Literal("append"), name: Name, count: Schema.Literals([1, 3]) }),
  Schema.Struct({ step: Schema.Literal("forget"), name: Name, count: Schema.Literals([1, 3]) }),
  Schema.Struct({ step: Schema.Literal("drop"), name: Name }),
  Schema.Struct({ step: Schema.Literal("save") }),
  Schema.Struct({ step: Schema.Literal("again") })
])

/** A subject as its owner has it. */
class Model {
  readonly parts = new Map<string, number>()
  readonly runs = new Map<string, { first: number; values: Array<string> }>()

  run(step: typeof Step.Type): void {
    // No text tells -0 from 0.
    if (step.step === "set") this.parts.set(step.name, step.value + 0)
    if (step.step === "unset") this.parts.delete(step.name)
    if (step.step === "drop") this.runs.delete(step.name)
    const run = "name" in step ? this.runs.get(step.name) : undefined
    if (step.step === "append") {
      const appended = run ?? { first: 1, values: [] }
      for (let count = 0; count < step.count; count++) {
        appended.values.push(`${step.name} ${appended.first + appended.values.length}`)
      }
      this.runs.set(step.name, appended)
    }
    if (step.step === "forget" && run !== undefined) run.first += run.values.splice(0, step.count).length
  }

  snapshot(): StateFile.Snapshot {
    return {
      parts: [...this.parts].map(([name, value]) => ({ name, ref: value, encode: () => ({ note: String(value) }) })),
      runs: [...this.runs].map(([name, { first, values }]) => ({
        ...{ name, first, last: first + values.length - 1 },
        encode: (number) => ({ note: "", data: bytes(values[number - first] ?? "?") })
      }))
    }
  }
}

/** What is in the file, in the shape of the model. */
const shape = ({ parts, runs }: StateFile.Saved) => ({
  parts: new Map(parts.map(({ name, note }) => [name, Number(note)])),
  runs: new Map(
    [...runs].map(([name, entries]) => [
      name,
      entries.map(({ data, number }) => `${number}: ${new TextDecoder().decode(data)}`)
    ])
  )
})

const expected = ({ parts, runs }: Model) => ({
  parts,
  runs: new Map(
    [...runs].flatMap(([name, { first, values }]) =>
      values.length === 0 ? [] : [[name, values.map((value, index) => `${first + index}: ${value}`)] as const]
    )
  )
})

describe("StateFile", () => {
  it.prop(
    "what was saved last is what is read, however often and by how many writers it was saved",
    { steps: Schema.Array(Step).check(Schema.isMaxLength(60)) },
    ({ steps }) =>
      Effect.runSync(
        Effect.scoped(
          Effect.gen(function* () {
            const file = yield* StateFile.open(":memory:", LIMITS)
            const model = new Model()
            let writer = file.writer("subject")
            file.writer("other").save({ parts: [{ name: "a", ref: 0, encode: () => ({ note: "0" }) }], runs: [] })
            for (const step of [...steps, { step: "save" } as const]) {
              model.run(step)
              if (step.step === "again") writer = file.writer("subject")
              if (step.step !== "save") continue
              assert.isTrue(writer.save(model.snapshot()))
              assert.deepStrictEqual(shape(file.load("subject")), {
                ...expected(model),
                parts: new Map(model.parts)
              })
            }
            assert.strictEqual(file.load("other").parts.length, 1)
            writer.remove()
            assert.deepStrictEqual(file.subjects(), [{ name: "other", savedAtMs: 7 }])
            assert.isFalse(writer.save(model.snapshot()))
          })
        )
      )
  )

  it.effect("is its owner's alone, outlives its process, and is replaced when it is no database", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "state.db")
      const part = { name: "a", ref: 1, encode: () => ({ note: "kept" }) }
      yield* Effect.scoped(
        Effect.map(StateFile.open(path, LIMITS), (file) => file.writer("s").save({ parts: [part], runs: [] }))
      )
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const read = Effect.scoped(Effect.map(StateFile.open(path, LIMITS), (file) => file.load("s").parts))
      assert.deepStrictEqual(yield* read, [{ name: "a", note: "kept", data: undefined }])

      writeFileSync(path, "x".repeat(10_000))

      assert.deepStrictEqual(yield* read, [])
    })
  )

  it.effect("beyond its bound nothing of the subject is kept, and the others stay", () =>
    Effect.gen(function* () {
      const file = yield* StateFile.open(":memory:", LIMITS)
      const of = (sizeBytes: number): StateFile.Snapshot => ({
        parts: [{ name: "a", ref: sizeBytes, encode: () => ({ note: "", data: new Uint8Array(sizeBytes) }) }],
        runs: []
      })
      const large = file.writer("large")
      assert.isTrue(file.writer("small").save(of(1000)))
      assert.isTrue(large.save(of(500_000)))
      assert.isFalse(large.save(of(2_000_000)))
      assert.isFalse(large.save(of(10)))
      assert.deepStrictEqual(
        file.subjects().map(({ name }) => name),
        ["small"]
      )
      assert.strictEqual(file.load("small").parts[0]?.data?.length, 1000)
    })
  )
})
