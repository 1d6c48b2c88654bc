import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { IpcSession } from "../../../src/actors/ipc/IpcSession.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"

describe("IpcSession", () => {
  it.effect("keeps the data that overtakes a DialOK, whatever late data of closed streams it has heard before", () =>
    Effect.gen(function* () {
      const session = new IpcSession()
      const dialled = (connection: number) => {
        session.exchange.begin("dial", ({ _tag }) => _tag === "DialOk")
        session.take({ _tag: "DialOk", connection })
      }
      // A daemon of the reference may keep the reply of a Close to itself (cli §8).
      for (let connection = 1; connection <= 100; connection++) {
        dialled(connection)
        session.forget(connection)
        session.take({ _tag: "Recv", connection, data: Bytes.fromUtf8("late") })
      }

      session.take({ _tag: "Recv", connection: 101, data: Bytes.fromUtf8("early") })
      dialled(101)
      session.take({ _tag: "Recv", connection: 101, data: Bytes.fromUtf8("next") })
      assert.strictEqual(Bytes.toUtf8(yield* session.stream(101)!.read), "early")
    })
  )
})
