import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const run = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), (outcome) => ({
    ...outcome,
    envelope: Json.parseObject(outcome.stdout) ?? {},
    data: Json.parseObject(outcome.stdout)?.["data"] as Json.JsonObject,
    error: Json.parseObject(outcome.stderr) ?? {}
  }))
const ok = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(run(home, ...args), ({ exitCode, stderr }) =>
    Effect.sync(() => assert.strictEqual(exitCode, 0, `${args.join(" ")}: ${stderr}`))
  )
const human = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, args), ({ stdout }) => stdout)
const fails = (home: string, code: string, message: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(home, ...args), ({ error, exitCode }) => {
    assert.strictEqual(exitCode, 1)
    assert.deepInclude(error, { code, message }, args.join(" "))
  })

describe("tasks, as processes (cli §10)", () => {
  it.live(
    "every row of the reference, the spellings of the articles, and a kill -9 of both ends",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")

        // The worker waits first, as in the articles; what it prints is read at the top level.
        const waiting = yield* Effect.forkChild(ok(bob.home, "task", "accept"))
        const task = '{"description":"sum","params":{"a":1,"b":2}}'
        const first = yield* ok(
          alice.home,
          "task",
          "submit",
          "bob",
          "--task",
          "sum",
          "--param",
          "a=1",
          "--param",
          "b=2"
        )
        const id = Json.string(first.data, "task_id")
        assert.deepStrictEqual(first.data, {
          ...{ accepted: true, message: "Task received with status NEW", status: 200 },
          ...{ target: bob.address, task: "sum", task_id: id }
        })
        const { envelope } = yield* Fiber.join(waiting)
        assert.deepStrictEqual(envelope, {
          data: { message: "Task accepted", status: "ACCEPTED", task_id: id },
          ...{ description: task.replaceAll("1", '"1"').replaceAll("2", '"2"'), from: alice.address, id },
          ...{ params: { a: "1", b: "2" }, status: "ok" }
        })
        const results = yield* ok(bob.home, "task", "send-results", "--task-id", id, "--data", "the answer is 3")
        assert.deepStrictEqual(results.data, {
          ...{ sent_to: alice.address, sent_type: "text", status: "SUCCEEDED", task_id: id }
        })
        assert.strictEqual(yield* human(alice.home, "task", "watch", "--id", id), "the answer is 3\n")

        // A second one, step by step.
        const second = Json.string((yield* ok(alice.home, "task", "submit", "bob", "--task", "second")).data, "task_id")
        yield* fails(
          bob.home,
          "invalid_state",
          `task ${second} cannot receive results (status: NEW)`,
          "task",
          "send-results",
          "--id",
          second,
          "--results",
          "x"
        )
        yield* fails(bob.home, "not_found", "no accepted tasks to execute", "task", "execute")
        yield* ok(bob.home, "task", "accept", "--id", second)
        yield* fails(bob.home, "invalid_state", `task ${second} is already ACCEPTED`, "task", "accept", "--id", second)
        assert.strictEqual(
          yield* human(bob.home, "task", "queue"),
          `Queued tasks (1):\n  1. ${second}: second\n     From: ${alice.address}\n`
        )
        const executed = yield* ok(bob.home, "task", "execute")
        assert.deepStrictEqual(executed.data, {
          ...{ from: alice.address, status: "EXECUTING", task_description: "second", task_id: second }
        })
        const file = `${network.directory}/out.csv`
        writeFileSync(file, "a,b\n1,2\n")
        yield* fails(
          bob.home,
          "invalid_argument",
          'file type ".py" not allowed for results',
          "task",
          "send-results",
          "--id",
          second,
          "--file",
          "/x/y.py"
        )
        // A gigabyte, of which nothing is read.
        const gigabyte = `${network.directory}/large.bin`
        writeFileSync(gigabyte, "")
        truncateSync(gigabyte, 1 << 30)
        yield* fails(
          bob.home,
          "invalid_argument",
          "a result has at most 12500000 bytes: send a file instead",
          "task",
          "send-results",
          "--id",
          second,
          "--file",
          gigabyte
        )
        const sent = yield* ok(bob.home, "task", "send-results", "--id", second, "--file", file)
        assert.deepStrictEqual(sent.data, {
          ...{
            file_size: 8,
            filename: "out.csv",
            sent_to: alice.address,
            sent_type: "file",
            status: "SUCCEEDED",
            task_id: second
          }
        })
        const watched = yield* ok(alice.home, "task", "watch", "--id", second)
        assert.strictEqual(readFileSync(Json.string(watched.data, "result_path"), "utf8"), "a,b\n1,2\n")
        const mirrored = `${bob.home}/tasks/received/${second}.json`
        yield* PilotProcesses.until(
          Effect.sync(() => existsSync(mirrored) && readFileSync(mirrored, "utf8").includes('"status": "SUCCEEDED"'))
        )
        assert.strictEqual(statSync(mirrored).mode & 0o777, 0o600)

        // Declined, cancelled, paused.
        const third = Json.string((yield* ok(alice.home, "task", "submit", "bob", "--task", "third")).data, "task_id")
        yield* fails(bob.home, "invalid_argument", "--justification is required", "task", "decline", "--id", third)
        const declined = yield* ok(bob.home, "task", "decline", "--task-id", third, "--justification", "busy")
        assert.deepInclude(declined.data, { justification: "busy", message: "Task declined", status: "DECLINED" })
        assert.strictEqual((yield* run(alice.home, "task", "watch", "--id", third)).exitCode, 1)
        yield* ok(bob.home, "task", "pause")
        const refused = yield* ok(alice.home, "task", "submit", "bob", "--task", "fourth")
        assert.deepInclude(refused.data, { accepted: false, status: 400, message: "tasks disabled" })
        yield* ok(bob.home, "task", "ready")

        yield* fails(alice.home, "not_found", "task not found: nope", "task", "accept", "--id", "nope")
        yield* fails(alice.home, "not_found", "no new task waits", "task", "accept", "--wait", "10ms")
        // A person sees for what, and how long.
        const patient = [Pilotctl.PROGRAM, "task", "accept"]
        const person = yield* PilotProcesses.watch(process.execPath, patient, Pilotctl.environment(alice.home))
        yield* person.printed("waiting for a task, up to 45s ...")
        person.child.kill("SIGKILL")
        yield* fails(alice.home, "invalid_argument", "--task is required", "task", "submit", "bob")
        yield* fails(alice.home, "invalid_argument", "missing subcommand", "task")
        yield* fails(alice.home, "invalid_argument", "unknown task subcommand: zzz", "task", "zzz")
        const listed = yield* ok(alice.home, "task", "list", "--type", "submitted")
        assert.deepStrictEqual(
          Json.objects(listed.data, "tasks").map((row) => Json.string(row, "status")),
          ["COMPLETED", "COMPLETED", "DECLINED", "DECLINED"]
        )

        // A night without the peer: kept, killed at both ends, and done in the morning.
        process.kill(bob.pid, "SIGKILL")
        const kept = yield* ok(alice.home, "task", "submit", String(bob.node), "--task", "over night", "--queue")
        assert.deepInclude(kept.data, { accepted: true, message: "Task kept until the peer has it" })
        process.kill(alice.pid, "SIGKILL")
        const [again] = yield* Effect.all(
          [PilotNetwork.startDaemon(network, "bob"), PilotNetwork.startDaemon(network, "alice")],
          { concurrency: 2 }
        )
        const taken = yield* ok(again.home, "task", "accept")
        const night = Json.string(taken.envelope, "id")
        assert.strictEqual(night, Json.string(kept.data, "task_id"))
        process.kill(again.pid, "SIGKILL")
        yield* PilotNetwork.startDaemon(network, "bob")
        yield* ok(bob.home, "task", "send-results", "--id", night, "--data", "done")
        assert.strictEqual(yield* human(alice.home, "task", "watch", "--id", night), "done\n")

        // A damaged database is refused, with advice, and left as it is.
        yield* ok(bob.home, "daemon", "stop")
        const database = `${bob.home}/tasks.db`
        const whole = readFileSync(database)
        const damaged = Buffer.concat([whole.subarray(0, 100), Buffer.alloc(whole.length - 100, 0xa5)])
        for (const bytes of [Buffer.from("no database at all, but somebody's words".repeat(200)), damaged]) {
          writeFileSync(database, bytes)
          const start = ["daemon", "start", ...PilotNetwork.flagsOf(network, "bob")]
          const outcome = yield* run(bob.home, ...start)
          assert.strictEqual(outcome.exitCode, 1)
          assert.include(outcome.stderr, `cannot use ${database}`)
          assert.include(outcome.stderr, "restore it from a backup")
          assert.isTrue(readFileSync(database).equals(bytes))
        }
        writeFileSync(database, whole)
        yield* PilotNetwork.startDaemon(network, "bob")
        assert.strictEqual(Json.objects((yield* ok(bob.home, "task", "list")).data, "tasks").length, 4)
      }),
    { timeout: 120_000 }
  )
})
