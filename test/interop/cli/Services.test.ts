import { writeFileSync } from "node:fs"
import { connect as connectSocket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, type Scope, Stream } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as IpcOpcode from "../../../src/protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../../src/protocol/wire/IpcRequest.ts"
import * as LocalPilotctl from "../../support/LocalPilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import { success } from "../../support/Vectors.ts"

const NUMBER = String.raw`[\d.]+`
const TIME = String.raw`[\d.]+(ms|µs|s)`

/** Every row of the February column that needs a peer, but tasks: what people see, and the keys of its data. */
const rows = (bravo: PilotNetwork.Daemon): ReadonlyArray<readonly [line: string, human: RegExp, keys: string]> => {
  const a = bravo.address.replaceAll(".", String.raw`\.`)
  return [
    ["find bravo", /^Hostname: {2}bravo\nNode ID: {3}\d+\n/, "address fingerprint hostname node_id public"],
    ["ping bravo --count 1", new RegExp(`^PING ${a}\nseq=0 bytes=6 time=${TIME}\n$`), "results target timeout"],
    [
      "traceroute bravo",
      new RegExp(`^TRACEROUTE ${a}\n {2}1 {2}${a} {2}setup=${TIME}\n( {5}rtt=${TIME} bytes=7\n){3}\nsetup includes: `),
      "rtt_samples setup_ms target"
    ],
    [
      "bench bravo 0.25",
      new RegExp(
        `^BENCH ${a} — sending 256.0 KB via echo port\n {2}Sent: {5}256.0 KB in ${NUMBER}m?s \\(${NUMBER} MB/s\\)\n {2}Echoed: {3}256.0 KB in `
      ),
      "recv_bytes send_duration_ms send_mbps sent_bytes target total_duration_ms total_mbps"
    ],
    ["connect bravo 7 --message hello", /^hello\n$/, "port response sent target"],
    ["connect bravo --message hello", /^ACK TEXT 5 bytes\n$/, "port response sent target"],
    ["send bravo 7 --data hello", /^hello\n$/, "port response sent target"],
    ["dgram bravo 6000 --data hello", /"bytes": 5/, "bytes port target"],
    ["send-message bravo --data hi --type json", /"ack": "ACK JSON 2 bytes"/, "ack bytes target type"],
    ["events publish --topic a.b --data x", /"topic": "a.b"/, "bytes sequence target topic"],
    ["publish bravo news --data first", /"topic": "news"/, "bytes target topic"],
    ["subscribe bravo none --count 1 --timeout 100ms", /^$/, "events timeout"],
    ["listen 6000 --count 1 --timeout 100ms", /^$/, "messages timeout"],
    ["recv 5001 --timeout 100ms", /^$/, "messages timeout"],
    ["handshake bravo", /^already trusted with node/, "node_id status"],
    ["pending", /^no pending handshake requests\n/, "pending"],
    ["trust", /^NODE ID/, "trusted"],
    ["peers", /^NODE ID/, "peers total"],
    ["connections", /./, "connections total"],
    ["disconnect 999999", /"conn_id": 999999/, "conn_id"],
    ["set-tags x y-z", /^tags set: #x #y-z\n$/, "node_id tags"],
    ["clear-tags", /^tags cleared\n$/, "tags"],
    ["enable-tasks", /"task_exec": true/, "node_id task_exec type"],
    ["disable-tasks", /"task_exec": false/, "node_id task_exec type"],
    ["set-public", /"visibility": "public"/, "node_id type visibility"],
    ["set-private", /"visibility": "private"/, "node_id type visibility"],
    ["set-hostname alpha2", /^hostname set: alpha2\n$/, "hostname node_id"],
    ["clear-hostname", /^hostname cleared\n$/, "hostname"],
    ["set-webhook http://127.0.0.1:9/x", /^webhook set: .*\napplied to running daemon\n$/, "applied webhook"],
    ["clear-webhook", /^webhook cleared\napplied to running daemon\n$/, "applied webhook"],
    ["register", /"type": "register_ok"/, "address node_id type"],
    [`lookup ${bravo.node}`, /"type": "lookup_ok"/, ""],
    ["info", /^Pilot Protocol Daemon\n/, ""],
    ["health", /"status": "ok"/, ""],
    ["inbox", /^Inbox|^inbox is empty/, "messages total"],
    ["received", /./, "files total"],
    ["deregister", /"type": "deregister_ok"/, "type"],
    ["register", /"type": "register_ok"/, "address node_id type"]
  ]
}

const pair = Effect.gen(function* () {
  const network = yield* PilotNetwork.make
  const [alpha, bravo] = yield* PilotNetwork.startPair(network, "alpha", "bravo")
  return { alpha, bravo }
})

/** The daemon's socket, frame by frame. */
const rawClient = Effect.fnUntraced(function* (home: string): Effect.fn.Return<RawClient, never, Scope.Scope> {
  const frames = yield* Queue.unbounded<Uint8Array>()
  const splitter = IpcOpcode.makeSplitter()
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => connectSocket(`${home}/pilot.sock`)),
    (opened) => Effect.sync(() => opened.destroy())
  )
  socket.on("data", (chunk: Buffer) => {
    for (const frame of splitter.push(new Uint8Array(chunk)).frames) Queue.offerUnsafe(frames, frame)
  })
  return {
    send: (request) => Effect.sync(() => void socket.write(IpcRequest.encode(request))),
    next: Effect.map(Queue.take(frames), (frame) => success(IpcReply.decode(frame)))
  }
})

interface RawClient {
  readonly send: (request: IpcRequest.IpcRequest) => Effect.Effect<void>
  readonly next: Effect.Effect<IpcReply.IpcReply>
}

describe("every service, with two daemons", () => {
  it.live(
    "does what a person types, and what a program asks",
    () =>
      Effect.gen(function* () {
        const { alpha, bravo } = yield* pair
        const run = (home: string, line: string, typed?: LocalPilotctl.Typed) =>
          LocalPilotctl.run(home, line.split(" "), typed)

        // Each row as people and as programs see it.
        for (const [line, human, keys] of rows(bravo)) {
          const shown = yield* run(alpha.home, line)
          assert.match(shown.stdout, human, `${line}: ${shown.stderr}`)
          const json = yield* run(alpha.home, `--json ${line}`)
          assert.deepStrictEqual([json.exit, json.stderr], [0, ""], line)
          const has = Object.keys(json.data)
          for (const key of keys.split(" ").filter((word) => word !== "")) assert.include(has, key, line)
        }
        const failed = yield* run(alpha.home, "--json broadcast 1 x")
        assert.strictEqual(Json.string(Json.parseObject(failed.stderr) ?? {}, "code"), "not_found")

        // A datagram, a stream and a secure channel find whoever waits for them.
        const waiting = yield* Effect.forkChild(run(bravo.home, "--json listen 6001 --count 1 --timeout 20s"))
        const sending = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(run(alpha.home, `dgram ${bravo.address} 6001 --data hi`), Effect.sleep("50 millis"))
          )
        )
        const [heard] = Json.objects((yield* Fiber.join(waiting)).data, "messages")
        yield* Fiber.interrupt(sending)
        assert.deepInclude(heard, { data: "hi", bytes: 2, src_addr: alpha.address })
        for (const flag of ["", " --secure"]) {
          const receiving = yield* Effect.forkChild(run(bravo.home, `--json recv 443 --timeout 20s${flag}`))
          const said = run(alpha.home, `connect ${bravo.address} 443 --message hush --timeout 5s${flag}`)
          yield* Effect.repeat(said, { until: ({ exit }) => exit === 0, times: 50 })
          const [message] = Json.objects((yield* Fiber.join(receiving)).data, "messages")
          assert.deepInclude(message, { data: "hush", bytes: 4 }, flag)
        }

        // Pipes: everything there and back, to the end; without a listener it goes to the inbox.
        const text = `${"line\n".repeat(20_000)}end`
        const echoed = yield* run(alpha.home, `connect ${bravo.address} 7`, { piped: text })
        assert.isTrue(echoed.stdout === text, `${echoed.stdout.length} bytes of ${text.length}: ${echoed.stderr}`)
        const delivered = yield* run(alpha.home, `connect ${bravo.address}`, { piped: "for later\n" })
        assert.strictEqual(delivered.stdout, "ACK TEXT 9 bytes\n")
        const nothing = yield* run(alpha.home, `connect ${bravo.address} 7`)
        assert.match(nothing.stderr, /no data on stdin/)

        // A terminal: lines go as they are typed, answers come meanwhile, ctrl-d ends it.
        const answered = yield* Deferred.make<void>()
        const typing = Stream.concat(
          Stream.make(Buffer.from("hello\n")),
          Stream.fromEffect(Effect.as(Deferred.await(answered), Buffer.from("bye\n")))
        )
        const talked = yield* LocalPilotctl.run(
          alpha.home,
          ["connect", bravo.address, "7"],
          { terminal: typing },
          (shown) => {
            if (shown.includes("hello")) Deferred.doneUnsafe(answered, Effect.void)
          }
        )
        assert.deepStrictEqual([talked.exit, talked.stdout], [0, "hello\nbye\n"])
        const lines = { terminal: Stream.make(Buffer.from("one\ntw"), Buffer.from("o")) }
        const noted = yield* LocalPilotctl.run(alpha.home, ["connect", bravo.address], lines)
        assert.deepStrictEqual(noted.stderr.match(/ACK TEXT 3 bytes/g)?.length, 2)

        yield* ipcCommands(alpha, bravo)
      }),
    90_000
  )
})

/** Every command of node §1.5, Health, and those of newer clients, in one script. */
const ipcCommands = Effect.fnUntraced(function* (alpha: PilotNetwork.Daemon, bravo: PilotNetwork.Daemon) {
  const client = yield* rawClient(alpha.home)
  const own = Address.NodeId(alpha.node)
  const peer = Address.NodeId(bravo.node)
  const port = Address.Port(5005)
  const ask = (request: IpcRequest.IpcRequest) => Effect.andThen(client.send(request), client.next)
  const json = (request: IpcRequest.IpcRequest, to: IpcReply.Answered) =>
    Effect.map(ask(request), (reply) => {
      assert.isTrue(reply._tag === "Answer" && reply.to === to, `${request._tag}: ${JSON.stringify(reply)}`)
      return reply._tag === "Answer" ? reply.value : {}
    })

  assert.strictEqual((yield* json({ _tag: "Info" }, "Info"))["node_id"], alpha.node)
  assert.strictEqual((yield* json({ _tag: "Health" }, "Health"))["status"], "ok")
  assert.deepStrictEqual(yield* json({ _tag: "SetHostname", name: "alpha" }, "SetHostname"), {
    ...{ hostname: "alpha", node_id: alpha.node, type: "set_hostname_ok" }
  })
  assert.deepInclude(yield* json({ _tag: "ResolveHostname", name: "bravo" }, "ResolveHostname"), {
    node_id: bravo.node
  })
  assert.deepStrictEqual(yield* json({ _tag: "SetVisibility", isPublic: false }, "SetVisibility"), {
    ...{ node_id: alpha.node, type: "set_visibility_ok", visibility: "private" }
  })
  assert.deepStrictEqual(yield* json({ _tag: "SetTags", tags: ["a"] }, "SetTags"), {
    ...{ node_id: alpha.node, tags: ["a"], type: "set_tags_ok" }
  })
  assert.deepStrictEqual(yield* json({ _tag: "SetTaskExec", enabled: true }, "SetTaskExec"), {
    ...{ node_id: alpha.node, task_exec: true, type: "set_task_exec_ok" }
  })
  assert.deepStrictEqual(yield* json({ _tag: "SetWebhook", url: "" }, "SetWebhook"), { webhook: "" })
  const handshake = (request: IpcRequest.IpcRequest) => json(request, "Handshake")
  assert.deepInclude(yield* handshake({ _tag: "HandshakeSend", node: peer, justification: "" }), {
    node_id: bravo.node
  })
  assert.deepStrictEqual(yield* handshake({ _tag: "HandshakeWait", node: peer, timeoutMs: 10 }), {
    ...{ node_id: bravo.node, trusted: true }
  })
  assert.deepStrictEqual(yield* handshake({ _tag: "HandshakePending" }), { pending: [] })
  assert.lengthOf(Json.objects(yield* handshake({ _tag: "HandshakeTrusted" }), "trusted"), 1)
  assert.deepInclude(yield* handshake({ _tag: "HandshakeApprove", node: own }), { known: false, status: "approved" })
  assert.deepInclude(yield* handshake({ _tag: "HandshakeReject", node: own, reason: "" }), { status: "rejected" })

  assert.deepStrictEqual(yield* ask({ _tag: "Bind", port }), { _tag: "BindOk", port })
  assert.deepStrictEqual(yield* ask({ _tag: "Unbind", port }), { _tag: "UnbindOk", port })
  const [address, echo] = [Address.make(0, bravo.node), Address.Port(7)]
  yield* client.send({ _tag: "Dial", address, port: Address.Port(4999) })
  assert.deepStrictEqual(yield* client.next, { _tag: "Error", code: 1, message: "connection refused" })
  const dialled = yield* ask({ _tag: "Dial", address, port: echo })
  const connection = dialled._tag === "DialOk" ? dialled.connection : 0
  const data = Bytes.fromUtf8("to and fro")
  yield* client.send({ _tag: "Send", connection, data })
  assert.deepStrictEqual(yield* client.next, { _tag: "Recv", connection, data })
  yield* client.send({ _tag: "Close", connection })
  assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection })
  assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection })
  yield* client.send({ _tag: "Cancel" })
  yield* client.send({ _tag: "SendTo", address, port, data })
  assert.deepStrictEqual(yield* ask({ _tag: "SendToConfirm", address, port, data }), { _tag: "SendToConfirmed" })
  assert.deepStrictEqual(yield* ask({ _tag: "Broadcast", network: 7, port, token: Bytes.empty, data }), {
    ...{ _tag: "Error", code: 1, message: "broadcast: this node is in no network 7" }
  })

  // A recovery key, then a new key, which waits.
  const recovery = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(9))
  const enrolment = { _tag: "EnrollRecovery", enrollment: "e", signature: "s" } as const
  assert.deepInclude(yield* ask(enrolment), { _tag: "Error" })
  const value = { op: "recovery.prepare", recovery: Bytes.toBase64(recovery.publicKey) }
  const prepared = yield* json({ _tag: "Extension", op: "recovery.prepare", value }, "Extension")
  const enrollment = Json.string(prepared, "draft")
  const signature = Bytes.toBase64(recovery.sign(Bytes.fromBase64(enrollment) ?? Bytes.empty))
  const enrolled = { ...enrolment, enrollment, signature }
  const fingerprint = Fingerprint.format(NativeCrypto.crypto.sha256(recovery.publicKey))
  assert.deepInclude(yield* json(enrolled, "EnrollRecovery"), {
    ...{ recovery_fingerprint: fingerprint, node_id: alpha.node, type: "enroll_recovery_ok" }
  })
  const rotated = yield* json({ _tag: "RotateKey" }, "RotateKey")
  assert.deepInclude(rotated, { fingerprint: alpha.fingerprint, node_id: alpha.node, type: "rotate_key_ok" })
  assert.isAbove(Json.integer(rotated, "pending_from"), 0)
  const file = `${alpha.home}/recovery.key`
  const keyPair = Bytes.toBase64(Bytes.concat(recovery.seed, recovery.publicKey))
  writeFileSync(file, JSON.stringify({ recovery_key: keyPair }), { mode: 0o600 })
  const cancelling = LocalPilotctl.run(alpha.home, ["--json", "identity", "cancel-rotation", "--recovery-file", file])
  const { data: cancelled, stderr } = yield* cancelling
  assert.deepInclude(cancelled, { fingerprint: alpha.fingerprint, recovery_fingerprint: fingerprint }, stderr)
  assert.notProperty(cancelled, "pending_fingerprint")

  // To itself, to hear it.
  yield* client.send({ _tag: "SendTo", address: Address.make(0, alpha.node), port, data })
  assert.deepInclude(yield* client.next, { _tag: "RecvFrom", destinationPort: port, data })
  assert.deepStrictEqual(yield* handshake({ _tag: "HandshakeRevoke", node: peer }), {
    ...{ node_id: bravo.node, status: "revoked" }
  })
  assert.deepStrictEqual(yield* json({ _tag: "Deregister" }, "Deregister"), { type: "deregister_ok" })
})
