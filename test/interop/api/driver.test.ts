import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Schema, Stream } from "effect"
import { Driver } from "effect-pilot"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"

const Submitted = Schema.decodeUnknownSync(Schema.Struct({ task_id: Schema.String }))

it.live("the names of the articles open a socket, dial, take tasks, finish them and publish", () =>
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
    const atAlice = yield* Driver.Connect(`${alice.home}/pilot.sock`)
    const atBob = yield* Driver.New(`${bob.home}/pilot.sock`)

    for (const dial of [atAlice.Dial("bob", 7), atAlice.Dial("bob:7"), atAlice.Dial(`${bob.address}:7`)]) {
      const echo = yield* dial
      yield* echo.write("hello")
      yield* echo.end
      assert.strictEqual(yield* echo.readable.pipe(Stream.decodeText(), Stream.mkString), "hello")
    }
    assert.strictEqual((yield* Effect.flip(atAlice.Dial("bob:4711"))).reason, "Refused")

    yield* atBob.SetTaskReady(true)
    assert.include(JSON.stringify(yield* Pilotctl.run(bob.home, "lookup", String(bob.node))), '"task_exec":true')
    yield* atBob.SetTaskReady(false)
    assert.notInclude(JSON.stringify(yield* Pilotctl.run(bob.home, "lookup", String(bob.node))), "task_exec")

    const waiting = yield* Effect.forkChild(atBob.AcceptTask(), { startImmediately: true })
    const words = ["task", "submit", "bob", "--task", "sum", "--param", "a=1"]
    const { task_id: id } = Submitted(yield* Pilotctl.run(alice.home, ...words))
    const task = yield* Fiber.join(waiting)
    assert.deepInclude(task, { id, from: alice.address, params: { a: "1" } })
    yield* atBob.SendTaskResults(id, new TextEncoder().encode("three"))
    assert.include(JSON.stringify(yield* Pilotctl.run(alice.home, "task", "watch", "--id", id)), "three")
    assert.strictEqual((yield* Effect.flip(atBob.SendResults(id, "again"))).reason, "InvalidState")
    assert.strictEqual((yield* Effect.flip(atBob.SendResults(id, Uint8Array.of(255)))).reason, "Invalid")
    for (const text of ["first", "second"]) yield* Pilotctl.run(alice.home, "task", "submit", "bob", "--task", text)
    const two = yield* Stream.runCollect(Stream.take(atBob.AcceptTasks(), 2))
    assert.deepStrictEqual(
      Array.from(two).map(({ description }) => description),
      ["first", "second"]
    )

    // Published until it is heard, since nobody says when a subscription has come about.
    const heard = yield* Effect.forkChild(Stream.runHead(atBob.Subscribe("data.*")))
    const publishing = atAlice
      .Publish("data.done", Uint8Array.of(0, 255))
      .pipe(Effect.repeat(Schedule.spaced("100 millis")))
    const event = yield* Effect.raceFirst(Fiber.join(heard), Effect.andThen(publishing, Effect.never))
    assert.deepStrictEqual(event._tag === "Some" ? event.value : undefined, {
      Topic: "data.done",
      Data: Uint8Array.of(0, 255)
    })

    const nobody = yield* Effect.flip(Driver.Connect(`${network.directory}/nothing.sock`))
    assert.deepInclude(nobody, { _tag: "PilotError", reason: "NotRunning" })
  }).pipe(Effect.scoped)
)
