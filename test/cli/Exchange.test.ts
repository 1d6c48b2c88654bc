import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ProgressBar from "../../src/cli/ProgressBar.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as DataFrame from "../../src/protocol/wire/DataFrame.ts"
import * as IpcReply from "../../src/protocol/wire/IpcReply.ts"
import type * as IpcRequest from "../../src/protocol/wire/IpcRequest.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

const UNTRUSTED = "dial: untrusted: the peer is up but does not answer strangers"

type Sent = (request: Extract<IpcRequest.IpcRequest, { _tag: "Send" }>) => ReadonlyArray<IpcReply.IpcReply>

const acknowledging: Sent = ({ data }) =>
  data.length === DataFrame.HEADER_BYTES
    ? []
    : [{ _tag: "Recv", connection: 1, data: DataFrame.encodeText("ACK TEXT 1 bytes") }]

/** A daemon whose peer trusts it from the `grantedAfter`th question on. */
const daemon = (grantedAfter: number, sent: Sent = acknowledging) => {
  let asked = 0
  return ModelDaemon.make((request) => {
    switch (request._tag) {
      case "Dial":
        return asked < grantedAfter ? [IpcReply.error(UNTRUSTED)] : [{ _tag: "DialOk", connection: 1 }]
      case "HandshakeSend":
        return ModelDaemon.json("Handshake", { node_id: 2, status: "sent" })
      case "HandshakeWait":
        return ModelDaemon.json("Handshake", { node_id: 2, trusted: ++asked >= grantedAfter })
      case "Extension":
        return request.op === "peer"
          ? ModelDaemon.json("Extension", { node_id: 2, address: "0:0000.0000.0002", trusted: false })
          : [IpcReply.error(`unknown operation: ${request.op}`)]
      case "Info":
        return ModelDaemon.json("Info", { node_id: 1, fingerprint: "ABCD-EFGH" })
      case "Send":
        return sent(request)
      default:
        return []
    }
  })
}

describe("a peer that does not trust this node", () => {
  it.effect("is asked, and the command goes on when it has decided", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const { exit, stderr, stdout } = yield* rig.run(daemon(3), ["send-message", "2", "--data", "x"])

      assert.strictEqual(exit, 0, stderr)
      assert.include(stdout, "ACK TEXT 1 bytes")
      assert.include(stderr, "trust request sent, waiting 30s")
      assert.include(stderr, "there: pilotctl trust approve 1 --fingerprint ABCD-EFGH")
    })
  )

  it.effect("is pinged and measured as soon as it has decided, without the waiting in the figures", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const echoing = () => daemon(3, ({ data }) => [{ _tag: "Recv", connection: 1, data }])
      const shown = yield* rig.run(echoing(), ["ping", "2", "--count", "1"])
      assert.include(shown.stderr, "there: pilotctl trust approve 1 --fingerprint ABCD-EFGH")
      assert.match(shown.stdout, /^PING 0:0000\.0000\.0002\nseq=0 bytes=6 /)

      const pinged = yield* rig.run(echoing(), ["--json", "ping", "2", "--count", "2"])
      const traced = yield* rig.run(echoing(), ["--json", "traceroute", "2"])
      const data = (outcome: CliRig.Outcome) =>
        Json.member(Json.parseObject(outcome.stdout) ?? {}, "data") as Json.JsonObject
      assert.deepStrictEqual(
        Json.objects(data(pinged), "results").map(({ bytes, seq }) => [seq, bytes]),
        [
          [0, 6],
          [1, 6]
        ]
      )
      assert.lengthOf(Json.objects(data(traced), "rtt_samples"), 3)
    })
  )

  it.effect("that does not decide in time: the command says what its owner has to type", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      for (const command of [
        ["send-message", "2", "--data", "x"],
        ["connect", "2", "--message", "x"],
        ["send", "2", "80", "--data", "x"],
        ["files", "list", "2"],
        ["publish", "2", "t", "--data", "x"],
        ["subscribe", "2", "t"],
        ["events", "publish", "--to", "2", "--topic", "t", "--data", "x"],
        ["events", "subscribe", "--from", "2", "--topic", "t"],
        ["mcp", "tools", "2/files"],
        ["mcp", "call", "2/files", "read"],
        ["ping", "2"],
        ["traceroute", "2"],
        ["bench", "2"]
      ]) {
        const outcome = yield* rig.run(daemon(Number.POSITIVE_INFINITY), ["--json", ...command, "--timeout", "2s"])
        const error = Json.parseObject(outcome.stderr) ?? {}

        assert.strictEqual(outcome.exit, 1)
        assert.strictEqual(Json.string(error, "code"), "untrusted", command.join(" "))
        assert.include(Json.string(error, "message"), "has not granted trust within 2s")
        assert.include(Json.string(error, "hint"), "pilotctl trust approve 1 --fingerprint ABCD-EFGH")
      }
    })
  )
})

describe("ProgressBar", () => {
  it("shows how much, how fast and how long, and no control characters of a peer", () => {
    const half = { stage: "sending" as const, doneBytes: 31_457_280, totalBytes: 62_914_560, name: "a\u001b[2Jb" }

    assert.strictEqual(
      ProgressBar.line(half, 31_457_280, 2_500),
      "a?[2Jb  [============>           ]  50%  30.0 MB of 60.0 MB  12.0 MB/s  0:03"
    )
    assert.include(ProgressBar.line({ ...half, doneBytes: half.totalBytes }, 1, 0), "100%")
    assert.include(ProgressBar.line({ ...half, totalBytes: 0, doneBytes: 0 }, 0, 0), "100%")
  })
})
