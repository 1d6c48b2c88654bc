/**
 * What every way to have a `Pilot` promises, run against each of them: nodes over real UDP, a real rendezvous, peers in
 * processes of their own.
 */
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Schedule, Scope, Stream } from "effect"
import { HttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { RpcClient, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { Actor, Files, Messages, Peer, Pilot, Trust } from "effect-pilot"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import { Counter } from "./Counter.ts"
import * as Greeting from "./Greeting.ts"
import { Inventory, Log as InventoryLog, handlers as inventory } from "./Inventory.ts"
import * as PilotNetwork from "./PilotNetwork.ts"
import * as PilotProcesses from "./PilotProcesses.ts"

/** How a suite comes to the `Pilot` of a daemon's state directory; the daemon is stopped first where `isOwnNode`. */
export interface Variant<Services = Pilot.Pilot> {
  readonly name: string
  readonly isOwnNode: boolean
  readonly open: (network: PilotNetwork.PilotNetwork, daemon: PilotNetwork.Daemon) => Layer.Layer<Services, unknown>
}

type Service = Pilot.Pilot["Service"]

/** `alice` and `bob` trust each other; `dave` is a process that alice trusts, `carol` one that she does not. */
class Stage extends Context.Service<
  Stage,
  {
    readonly network: PilotNetwork.PilotNetwork
    readonly alice: Service
    readonly bob: Service
    readonly daemons: Readonly<Record<"alice" | "bob" | "carol" | "dave", PilotNetwork.Daemon>>
    /** Everything that programs on the two are given. */
    readonly programs: Readonly<Record<"alice" | "bob", Context.Context<Pilot.Services>>>
  }
>()("test/PilotSuite/Stage") {}

const stage = ({ isOwnNode, open }: Variant<Pilot.Services>) =>
  Layer.effect(
    Stage,
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const start = (name: string) => PilotNetwork.startDaemon(network, name)
      const started = { alice: start("alice"), bob: start("bob"), carol: start("carol"), dave: start("dave") }
      const daemons = yield* Effect.all(started, { concurrency: 2 })
      yield* PilotNetwork.trust(daemons.alice, daemons.bob)
      yield* PilotNetwork.trust(daemons.alice, daemons.dave)
      const opened = Effect.fnUntraced(function* (daemon: PilotNetwork.Daemon) {
        if (isOwnNode) yield* Pilotctl.run(daemon.home, "daemon", "stop")
        return yield* Layer.build(open(network, daemon))
      })
      const programs = { alice: yield* opened(daemons.alice), bob: yield* opened(daemons.bob) }
      const pilotOf = (context: Context.Context<Pilot.Services>) => Context.get(context, Pilot.Pilot)
      return { network, daemons, programs, alice: pilotOf(programs.alice), bob: pilotOf(programs.bob) }
    })
  )

/** What a program on one of the two does. */
const on =
  (who: "alice" | "bob") =>
  <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Pilot.Services> | Stage> =>
    Effect.flatMap(Stage, ({ programs }) => Effect.provideContext(program, programs[who]))
const [onAlice, onBob] = [on("alice"), on("bob")]

/** Runs the suite. */
export const run = (variant: Variant<Pilot.Services>): void =>
  layer(stage(variant), { excludeTestServices: true, timeout: "60 seconds" })(variant.name, (it) => {
    it.effect("says what its node is", () =>
      Effect.gen(function* () {
        const { alice, daemons } = yield* Stage

        const { address, fingerprint, hostname, node, uptimeSeconds } = yield* alice.info

        const { address: a, fingerprint: f, node: n } = daemons.alice
        assert.deepStrictEqual(
          { address, fingerprint, hostname, node },
          { address: a, fingerprint: f, hostname: "alice", node: n }
        )
        assert.isAtLeast(uptimeSeconds, 0)
      })
    )

    it.effect("sends messages and files, shares and pulls", () =>
      Effect.gen(function* () {
        const { network } = yield* Stage
        const path = `${network.directory}/${variant.name}.bin`
        const content = randomBytes(200_000)
        writeFileSync(path, content)

        assert.strictEqual((yield* onAlice(Messages.send("bob", { json: [1] }))).ack, "ACK JSON 3 bytes")
        const [first] = Array.from(yield* onBob(Stream.runCollect(Stream.take(Messages.incoming, 1))))
        assert.deepInclude(first, { kind: "json", text: "[1]" })
        assert.strictEqual((yield* onAlice(Files.send("bob", path))).ack, "ACK FILE 200000 bytes")
        const [received] = yield* onBob(Files.received)
        assert.isTrue(content.equals(readFileSync(received?.path ?? "")))
        yield* onAlice(Files.share(path, { allow: ["bob"], name: "report" }))
        assert.deepStrictEqual(yield* onBob(Files.list("alice")), [{ name: "report", kind: "file", bytes: 200_000 }])
        yield* onBob(Files.get("alice", "report", `${path}.copy`))
        assert.isTrue(content.equals(readFileSync(`${path}.copy`)))
        yield* onAlice(Files.unshare("report"))
        const gone = yield* Effect.flip(onBob(Files.get("alice", "report", `${path}.no`)))
        assert.deepInclude(gone, { _tag: "TransferError", reason: "NotFound" })
      })
    )

    it.effect("resolves a peer by name, by address and by number to the same key", () =>
      Effect.gen(function* () {
        const { alice, daemons } = yield* Stage
        const { address, fingerprint, node } = daemons.bob

        for (const target of ["bob", address, String(node)]) {
          assert.deepInclude(yield* alice.resolve(target), { address, fingerprint, node, hostname: "bob" })
        }
      })
    )

    it.effect("carries bytes both ways, whoever dials; each side knows the other", () =>
      Effect.gen(function* () {
        const { alice, bob, daemons } = yield* Stage
        for (const [dialler, listener, from, to] of [
          [alice, bob, daemons.alice, daemons.bob],
          [bob, alice, daemons.bob, daemons.alice]
        ] as const) {
          const { accepted, dialled } = yield* connected(dialler, listener, to.name, 4000)
          assert.strictEqual(dialled.remote, to.address)
          assert.strictEqual(dialled.remotePort, 4000)
          assert.strictEqual(accepted.remote, from.address)
          assert.strictEqual(accepted.localPort, 4000)

          yield* dialled.write("question")
          assert.strictEqual(yield* text(accepted, 8), "question")
          yield* accepted.write(new TextEncoder().encode("answer"))
          assert.strictEqual(yield* text(dialled, 6), "answer")
        }
      }).pipe(Effect.scoped)
    )

    it.effect("carries a megabyte both ways at once, intact, and ends cleanly", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const { accepted, dialled } = yield* connected(alice, bob, "bob", 4001)
        const [up, down] = [randomBytes(1 << 20), randomBytes(1 << 20)]

        const [upHash, downHash] = yield* Effect.all(
          [hashOf(accepted, up.length), hashOf(dialled, down.length), dialled.write(up), accepted.write(down)],
          { concurrency: "unbounded" }
        )

        assert.strictEqual(upHash, sha256(up))
        assert.strictEqual(downHash, sha256(down))
      }).pipe(Effect.scoped)
    )

    it.effect("closing delivers what was written, then the peer sees the end; writing afterwards fails", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const { accepted, dialled } = yield* connected(alice, bob, "bob", 4002)
        const last = randomBytes(200_000)

        yield* dialled.write(last)
        yield* dialled.close
        yield* dialled.close

        assert.strictEqual(yield* hashOf(accepted, Number.POSITIVE_INFINITY), sha256(last))
        assert.strictEqual((yield* Effect.flip(dialled.write("late")))._tag, "ConnectionReset")
      }).pipe(Effect.scoped)
    )

    it.effect("an end is one direction's: the other side answers after it, and both end cleanly (wire §17)", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const { accepted, dialled } = yield* connected(alice, bob, "bob", 4006)
        const [question, answer] = [randomBytes(100_000), randomBytes(200_000)]

        yield* dialled.write(question)
        yield* dialled.end
        assert.strictEqual(yield* hashOf(accepted, Number.POSITIVE_INFINITY), sha256(question))
        assert.deepInclude(yield* Effect.flip(dialled.write("late")), { _tag: "ConnectionReset", reason: "Closed" })
        yield* accepted.write(answer)
        yield* accepted.end

        assert.strictEqual(yield* hashOf(dialled, Number.POSITIVE_INFINITY), sha256(answer))
      }).pipe(Effect.scoped)
    )

    it.effect("delivers everything with noDelay or without, whoever of both ends asks for it", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const queue = yield* accepting(bob, 4008, { noDelay: false })
        const dialled = yield* dialing(alice, "bob", 4008, { noDelay: false })
        const accepted = yield* Queue.take(queue)
        yield* dialled.setNoDelay(true)

        for (let count = 0; count < 50; count++) yield* dialled.write(String(count % 10))
        yield* dialled.end
        yield* accepted.write("short")
        yield* accepted.end

        assert.strictEqual(yield* text(accepted, 50), "0123456789".repeat(5))
        assert.strictEqual(yield* text(dialled, 5), "short")
      }).pipe(Effect.scoped)
    )

    it.effect("who goes on writing to a closed stream is told that nobody reads, with a sentence", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const { accepted, dialled } = yield* connected(alice, bob, "bob", 4007)
        yield* dialled.close
        yield* Stream.runDrain(accepted.readable)

        const failure = yield* Effect.flip(Effect.forever(accepted.write(randomBytes(1000)).pipe(Effect.delay(5))))

        assert.deepInclude(failure, { _tag: "ConnectionReset", reason: "PeerClosed" })
        assert.strictEqual(failure.message, "the peer does not read this stream any more")
      }).pipe(Effect.scoped)
    )

    it.effect("a connection ends with the scope it was dialled in", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const scope = yield* Scope.make()
        const { accepted, dialled } = yield* Scope.provide(connected(alice, bob, "bob", 4003), scope)
        yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
        const inner = yield* Scope.make()
        const other = yield* Scope.provide(dialing(alice, "bob", 4003), inner)
        yield* dialled.write("kept")
        assert.strictEqual(yield* text(accepted, 4), "kept")

        yield* Scope.close(inner, Exit.void)

        assert.strictEqual((yield* Effect.flip(other.write("late")))._tag, "ConnectionReset")
        yield* dialled.write("open")
        assert.strictEqual(yield* text(accepted, 4), "open")
      }).pipe(Effect.scoped)
    )

    it.effect("a port has one listener; when it stops listening, its streams end and the port is free", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const scope = yield* Scope.make()
        const { dialled } = yield* Effect.gen(function* () {
          const listening = yield* accepting(bob, 4004)
          const dialled = yield* dialing(alice, "bob", 4004)
          yield* Queue.take(listening)
          return { dialled }
        }).pipe(Effect.provideService(Scope.Scope, scope))

        const second = yield* Effect.flip(Stream.runDrain(bob.listen(4004)))
        assert.deepInclude(second, { _tag: "PortInUse", port: 4004 })
        const end = yield* Effect.forkChild(Stream.runDrain(dialled.readable))
        yield* Scope.close(scope, Exit.void)

        yield* Fiber.await(end)
        yield* accepting(bob, 4004)
        yield* dialing(alice, "bob", 4004)
      }).pipe(Effect.scoped)
    )

    it.effect("an RpcGroup is served on a port and called by name: answers, errors, streams, spans, the caller", () =>
      Effect.gen(function* () {
        const { programs } = yield* Stage
        const log = yield* Queue.unbounded<string>()
        const server = RpcServer.layer(Inventory).pipe(
          Layer.provide(inventory),
          Layer.provide(Pilot.rpcServer({ port: 4005, allow: ["alice"] })),
          Layer.provide(Layer.succeed(InventoryLog, log)),
          Layer.provide(Layer.succeedContext(programs.bob))
        )
        yield* Layer.build(server)
        yield* Effect.gen(function* () {
          const client = yield* RpcClient.make(Inventory).pipe(Effect.provide(Pilot.rpcClient("bob", { port: 4005 })))
          const skus = Array.from({ length: 20 }, (_, index) => "x".repeat(index))
          const answers = yield* Effect.forEach(skus, (sku) => client.stock({ sku }), { concurrency: "unbounded" })
          assert.deepStrictEqual(
            answers,
            skus.map(({ length }) => length)
          )
          assert.deepInclude(yield* Effect.flip(client.stock({ sku: "none" })), { _tag: "OutOfStock", sku: "none" })
          assert.deepStrictEqual([...(yield* Stream.runCollect(Stream.take(client.watch({ sku: "" }), 2)))], [0, 1])
          assert.strictEqual(yield* Queue.take(log), "watch ended")
          const { own, there } = yield* Effect.gen(function* () {
            return { own: (yield* Effect.currentSpan).traceId, there: yield* client.whoami() }
          }).pipe(Effect.withSpan("asking"))
          assert.deepStrictEqual(there, { hostname: "alice", traceId: own })
          const hanging = yield* Effect.forkChild(client.hang())
          assert.strictEqual(yield* Queue.take(log), "hang began")
          yield* Fiber.interrupt(hanging)
          assert.strictEqual(yield* Queue.take(log), "hang interrupted")
        }).pipe(Effect.scoped, onAlice)
      }).pipe(Effect.scoped)
    )

    it.effect("an HttpApi is called by the name of its peer, and knows who calls, whatever the caller claims", () =>
      Effect.gen(function* () {
        const { programs } = yield* Stage
        yield* Layer.build(Greeting.served(4009, "alice").pipe(Layer.provide(Layer.succeedContext(programs.bob))))
        yield* Effect.gen(function* () {
          const client = yield* HttpApiClient.make(Greeting.Api, { baseUrl: "http://bob.pilot:4009" })
          const { answer, own } = yield* Effect.gen(function* () {
            return { own: (yield* Effect.currentSpan).traceId, answer: yield* client.greeting.hello() }
          }).pipe(Effect.withSpan("asking"))
          assert.deepStrictEqual(answer, { to: "alice", header: "alice", traceId: own })
          const http = yield* HttpClient.HttpClient
          const headers = { "Pilot-Caller-Hostname": "root" }
          const forged = yield* http.get("http://bob.pilot:4009/hello", { headers })
          assert.deepInclude(yield* forged.json, { to: "alice", header: "alice" })
          assert.strictEqual((yield* Effect.flip(http.get("http://127.0.0.1:4009/")))._tag, "HttpClientError")
        }).pipe(Effect.provide(Pilot.httpClient), Effect.scoped, onAlice)
      }).pipe(Effect.scoped)
    )

    it.effect(
      "fetch leads to peers: an answer streams until its signal ends it at both ends, other hosts are refused",
      () =>
        Effect.gen(function* () {
          const { programs } = yield* Stage
          const ended = yield* Deferred.make<void>()
          const forever = Stream.make("tick").pipe(
            Stream.concat(Stream.never),
            Stream.encodeText,
            Stream.ensuring(Deferred.succeed(ended, undefined))
          )
          const echo = Effect.gen(function* () {
            const { headers, text } = yield* HttpServerRequest.HttpServerRequest
            return HttpServerResponse.text(`${headers["content-type"]} ${yield* text}`, { status: 201 })
          })
          const routes = Layer.mergeAll(
            HttpRouter.add("GET", "/forever", HttpServerResponse.stream(forever)),
            HttpRouter.add("POST", "/echo", echo)
          )
          const served = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true })
          yield* Layer.build(
            served.pipe(
              Layer.provide(Pilot.httpServer({ port: 4011, allow: ["alice"] })),
              Layer.provide(Layer.succeedContext(programs.bob))
            )
          )
          yield* Effect.gen(function* () {
            const fetch = yield* Pilot.fetch
            const rejected = (run: () => Promise<unknown>) =>
              Effect.promise(() =>
                run().then(
                  () => assert.fail("it was answered"),
                  (error: Error) => error
                )
              )
            const body = JSON.stringify({ sku: "A-17" })
            const headers = { "content-type": "application/json" }
            const echoed = yield* Effect.promise(() =>
              fetch("http://bob.pilot:4011/echo", { method: "POST", body, headers })
            )
            assert.strictEqual(echoed.status, 201)
            assert.strictEqual(yield* Effect.promise(() => echoed.text()), `application/json ${body}`)

            const controller = new AbortController()
            const answer = yield* Effect.promise(() =>
              fetch("http://bob.pilot:4011/forever", { signal: controller.signal })
            )
            const reader = answer.body!.getReader()
            const first = yield* Effect.promise(() => reader.read())
            assert.strictEqual(new TextDecoder().decode(first.value), "tick")
            controller.abort()
            assert.strictEqual((yield* rejected(() => reader.read())).name, "AbortError")
            yield* Deferred.await(ended)

            assert.instanceOf(yield* rejected(() => fetch("http://127.0.0.1:4011/echo")), TypeError)
            const late = yield* rejected(() => fetch("http://bob.pilot:4011/echo", { signal: AbortSignal.abort() }))
            assert.strictEqual(late.name, "AbortError")
          }).pipe(Effect.scoped, onAlice)
        }).pipe(Effect.scoped)
    )

    it.effect("an actor is told, asked and watched by name", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const local = yield* Effect.gen(function* () {
          const counter = yield* Actor.spawn(Counter)
          yield* Pilot.register("counter", counter, { allow: ["alice"] })
          return counter
        }).pipe(Scope.provide(scope), onBob)
        yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
        yield* Effect.gen(function* () {
          const remote = yield* Pilot.actor("bob", "counter", Counter.Protocol)
          yield* remote.tell(Counter.Add({ by: 2 }))
          assert.strictEqual(yield* remote.ask(Counter.Get()), 2)
          assert.strictEqual(yield* remote.ask(Counter.Asker()), "alice")
          const exit = yield* Effect.forkChild(remote.exit)
          yield* local.stop
          assert.strictEqual((yield* Fiber.join(exit))._tag, "Stopped")
        }).pipe(Effect.scoped, onAlice)
      }).pipe(Effect.scoped)
    )

    it.effect("trust is listed, invited to, watched and revoked", () =>
      Effect.gen(function* () {
        const { daemons } = yield* Stage
        const { alice, dave } = daemons
        yield* Effect.gen(function* () {
          const [first] = yield* Trust.list
          assert.deepInclude(first, { node: alice.node, fingerprint: alice.fingerprint, isMutual: false })
          const invitation = yield* Trust.invite({ note: "for dave", life: "1 hour" })
          yield* Pilotctl.run(dave.home, "redeem", invitation.text)
          const isDave = (change: Trust.Change) => change._tag === "Approved" && change.trusted.node === dave.node
          const seen = yield* Stream.runCollect(Stream.take(Stream.filter(Trust.watch, isDave), 1))
          assert.strictEqual(seen.length, 1)
          const [made] = yield* Trust.invitations
          assert.deepInclude(made, { id: invitation.id, note: "for dave", uses: 1, usesMax: 1 })
          yield* Trust.revoke(dave.address)
          assert.isFalse((yield* Trust.list).some(({ node }) => node === dave.node))
          const twice = yield* Effect.flip(Trust.revoke(dave.node))
          assert.deepInclude(twice, { _tag: "TrustError", reason: "Refused" })
          assert.isFalse(yield* Trust.revokeInvitation("nothing"))
        }).pipe(onBob)
      })
    )

    it.effect("trust is asked for, rejected, given to one key only, ended, and come by with an invitation", () =>
      Effect.gen(function* () {
        const { daemons } = yield* Stage
        const { bob, carol } = daemons
        const other = yield* Layer.build(Pilot.layerDaemon({ home: carol.home }))
        const onCarol = <A, E>(program: Effect.Effect<A, E, Pilot.Services>) => Effect.provideContext(program, other)
        const seen = (is: (change: Trust.Change) => boolean) =>
          Stream.runHead(Stream.filter(Trust.watch, is)).pipe(Effect.asVoid)
        const asked = (node: number) => seen((change) => change._tag === "Asked" && change.pending.node === node)
        const approved = (node: number) => seen((change) => change._tag === "Approved" && change.trusted.node === node)
        const trusts = (node: number) => Effect.map(Trust.list, (list) => list.some((one) => one.node === node))

        assert.strictEqual(yield* onCarol(Trust.request(bob.node, "let me in")), "sent")
        yield* onBob(asked(carol.node))
        const [waiting] = yield* onBob(Trust.pending)
        assert.deepInclude(waiting, { node: carol.node, justification: "let me in" })
        assert.isTrue(yield* onBob(Trust.reject(carol.node, "not now")))
        assert.isFalse(yield* onBob(Trust.reject(carol.node)))
        assert.deepStrictEqual(yield* onBob(Trust.pending), [])
        assert.isFalse(yield* onBob(trusts(carol.node)))

        yield* onCarol(Trust.request(Peer.byAddress(bob.address), "please"))
        yield* onBob(asked(carol.node))
        const another = yield* Effect.flip(onBob(Trust.approve(carol.node, bob.fingerprint)))
        assert.deepInclude(another, { _tag: "TrustError", reason: "Refused" })
        assert.isFalse(yield* onBob(trusts(carol.node)))
        assert.isTrue(yield* onBob(Trust.approve(carol.node, carol.fingerprint)))
        assert.isFalse(yield* onBob(Trust.approve(carol.node)))
        yield* onCarol(approved(bob.node))
        assert.strictEqual(yield* onBob(Trust.request("carol")), "already_trusted")
        yield* onBob(Trust.revoke(Peer.byName("carol")))
        yield* PilotProcesses.until(Effect.map(onCarol(trusts(bob.node)), (is) => !is))

        assert.strictEqual(yield* onBob(Trust.request(carol.address, "once more")), "sent")
        yield* onCarol(asked(bob.node))
        yield* onCarol(Trust.approve(bob.node, bob.fingerprint))
        yield* onBob(approved(carol.node))
        yield* onBob(Trust.revoke(carol.node))

        const { id, text } = yield* onCarol(Trust.invite({ life: "1 hour", for: bob.fingerprint }))
        assert.deepInclude(yield* onBob(Trust.redeem(text, "as agreed")), { node: carol.node, status: "sent" })
        yield* onBob(approved(carol.node))
        assert.isTrue(yield* onCarol(Trust.revokeInvitation(id)))
        assert.strictEqual((yield* Effect.flip(onBob(Trust.redeem("pilot-invite:no")))).reason, "Refused")
        const nobody = yield* Effect.flip(onBob(Trust.request("nobody")))
        assert.deepInclude(nobody, { _tag: "DialError", reason: "NotFound" })
        yield* onBob(Trust.revoke(carol.node))
      }).pipe(Effect.scoped)
    )

    it.effect("a peer is who has the name, the address, the number or the key; of several, who can be found", () =>
      Effect.gen(function* () {
        const { daemons } = yield* Stage
        const { address, fingerprint, node } = daemons.bob
        yield* Effect.gen(function* () {
          const selectors = [
            ...["bob", Peer.byName("bob"), Peer.byAddress(address), Peer.byAddress(node)],
            ...[Peer.byKey(fingerprint.toLowerCase()), Peer.anyOf("nobody", "bob")]
          ]
          for (const selector of selectors)
            assert.deepInclude(yield* Peer.resolve(selector), { address, fingerprint, node }, Peer.format(selector))
          const both = yield* Peer.candidates(Peer.anyOf(Peer.byName("bob"), "nobody", "alice", address))
          assert.deepStrictEqual(
            both.map(({ hostname }) => hostname),
            ["bob", "alice"]
          )
          const none = yield* Effect.flip(Peer.resolve(Peer.byKey(daemons.carol.fingerprint)))
          assert.deepInclude(none, { _tag: "NoSuchPeer" })
          assert.strictEqual((yield* Effect.flip(Peer.resolve(Peer.anyOf("nobody"))))._tag, "DialError")
        }).pipe(onAlice)
      })
    )

    it.effect(
      "messages of every kind come in their order and stay until they are cleared; a stranger's do not go",
      () =>
        Effect.gen(function* () {
          yield* onBob(Messages.clear)
          const binary = Uint8Array.from([0, 255, 254, 10])
          yield* Effect.gen(function* () {
            yield* Messages.send("bob", { text: "grüße" })
            yield* Messages.send("bob", { bytes: binary }, { timeout: "1 minute" })
            yield* Messages.send("bob", { json: { rows: 1842 } })
            const failure = yield* Effect.flip(Messages.send("carol", { text: "hello" }))
            assert.deepInclude(failure, { _tag: "DialError", reason: "Untrusted" })
          }).pipe(onAlice)
          const inbox = yield* onBob(Messages.inbox)
          assert.deepStrictEqual(
            inbox.map(({ kind, text }) => (kind === "binary" ? kind : `${kind} ${text}`)),
            ["text grüße", "binary", 'json {"rows":1842}']
          )
          assert.deepStrictEqual([...inbox[1]!.data], [...binary])
          assert.strictEqual(yield* onBob(Messages.clear), 3)
          assert.deepStrictEqual(yield* onBob(Messages.inbox), [])
        })
    )

    it.effect("directories are sent and shared as files are, and taken back; nobody else's are there", () =>
      Effect.gen(function* () {
        const { network } = yield* Stage
        yield* onBob(Files.clearReceived)
        const album = `${network.directory}/${variant.name}-album`
        mkdirSync(`${album}/inner`, { recursive: true })
        writeFileSync(`${album}/inner/a.txt`, "alpha")

        assert.deepInclude(yield* onAlice(Files.send("bob", album)), { files: 1, sizeBytes: 5 })
        assert.strictEqual((yield* onBob(Files.received)).length, 1)
        assert.strictEqual(yield* onBob(Files.clearReceived), 1)
        yield* onAlice(Files.share(album, { allowTrusted: true, name: "album" }))
        assert.deepStrictEqual(
          (yield* onAlice(Files.shares)).map(({ name }) => name),
          ["album"]
        )
        assert.deepInclude(yield* onBob(Files.list("alice", "album/inner")), { name: "a.txt", kind: "file", bytes: 5 })
        const tell = yield* Deferred.make<Files.Progress>()
        const progress = (step: Files.Progress) => Effect.asVoid(Deferred.succeed(tell, step))
        yield* onBob(Files.get("alice", "album", `${album}.copy`, { progress }))
        assert.isTrue(yield* Deferred.isDone(tell))
        assert.strictEqual(readFileSync(`${album}.copy/inner/a.txt`, "utf8"), "alpha")
        yield* onAlice(Files.unshare("album"))
        assert.deepStrictEqual(yield* onBob(Files.list("alice")), [])
        assert.strictEqual((yield* Effect.flip(onAlice(Files.unshare("album"))))._tag, "ShareError")
      })
    )

    it.effect("a served port lets nobody in until someone is named, and one of that name only", () =>
      Effect.gen(function* () {
        const { alice, programs } = yield* Stage
        for (const access of [{}, { allow: ["dave"] }]) {
          const running = Effect.gen(function* () {
            const { run } = yield* SocketServer.SocketServer
            return yield* run(() => Effect.die("nobody comes in"))
          })
          yield* Effect.gen(function* () {
            const context = yield* Layer.build(
              Pilot.socketServer({ port: 4010, ...access }).pipe(Layer.provide(Layer.succeedContext(programs.bob)))
            )
            yield* Effect.forkScoped(Effect.provideContext(running, context))
            const connection = yield* alice.dial("bob", 4010)
            assert.deepStrictEqual([...(yield* Stream.runCollect(connection.readable))], [])
          }).pipe(Effect.scoped)
        }
        const unknown = yield* Effect.flip(
          Effect.scoped(Layer.build(Pilot.socketServer({ port: 4010, allow: ["nobody"] })).pipe(onBob))
        )
        assert.deepInclude(unknown, { _tag: "DialError", reason: "NotFound" })
      })
    )

    it.effect("measures the round trip and says which way it goes", () =>
      Effect.gen(function* () {
        const { alice } = yield* Stage

        const { path, rttMs } = yield* alice.ping("bob")

        assert.include(["direct", "relay"], path)
        assert.isAbove(rttMs, 0)
        const { candidates, kind } = yield* alice.why("bob")
        assert.include(["direct", "relay"], kind)
        assert.isAbove(candidates.length, 0)
      })
    )

    it.effect("a name, an address and a number that nobody has are not found", () =>
      Effect.gen(function* () {
        const { alice } = yield* Stage
        for (const target of ["nobody", "0:0000.0000.BEEF", "4711"]) {
          const notFound = { _tag: "DialError", reason: "NotFound", target } as const
          assert.deepInclude(yield* Effect.flip(alice.resolve(target)), notFound)
          assert.deepInclude(yield* dialFailure(alice, target, 1), notFound)
          assert.deepInclude(yield* Effect.flip(alice.ping(target)), notFound)
        }
      })
    )

    it.effect("a port where nobody listens refuses", () =>
      Effect.gen(function* () {
        const { alice } = yield* Stage
        assert.deepInclude(yield* dialFailure(alice, "bob", 4999), { _tag: "DialError", reason: "Refused" })
      })
    )

    it.effect("a peer without trust is untrusted, not merely silent", () =>
      Effect.gen(function* () {
        const { alice } = yield* Stage
        assert.deepInclude(yield* dialFailure(alice, "carol", 4000), { _tag: "DialError", reason: "Untrusted" })
      })
    )

    it.effect("a peer that has died times out", () =>
      Effect.gen(function* () {
        const { alice, daemons } = yield* Stage
        yield* alice.resolve("dave")
        yield* PilotProcesses.killNow(daemons.dave.pid)

        const failure = yield* Effect.flip(Effect.scoped(alice.dial("dave", 4000, { timeoutMs: 1_000 })))

        assert.deepInclude(failure, { _tag: "DialError", reason: "Timeout" })
      })
    )

    it.effect("another key behind a pinned name or number is refused, with both fingerprints (security rule 1)", () =>
      Effect.gen(function* () {
        const { alice, daemons, network } = yield* Stage
        const { carol, dave } = daemons
        yield* alice.resolve("dave")
        yield* PilotProcesses.killNow(carol.pid)
        yield* swapped(network, [
          `UPDATE registry_nodes SET hostname = '' WHERE id = ${dave.node}`,
          `UPDATE registry_nodes SET hostname = 'dave' WHERE id = ${carol.node}`,
          `UPDATE registry_nodes SET public_key = '${randomBytes(32).toString("base64")}' WHERE id = ${dave.node}`
        ])
        const refused = (target: string) =>
          alice.resolve(target).pipe(
            Effect.flip,
            Effect.repeat({
              // Until the registry is back.
              while: ({ reason }) => reason === "RegistryUnavailable" || reason === "Disconnected",
              schedule: Schedule.spaced("100 millis")
            })
          )

        const [moved, changed] = [yield* refused("dave"), yield* refused(dave.address)]

        assert.deepInclude(moved, { _tag: "DialError", reason: "NameMoved" })
        assert.include(moved.detail, dave.fingerprint)
        assert.include(moved.detail, carol.fingerprint)
        assert.deepInclude(changed, { _tag: "DialError", reason: "KeyChanged" })
        assert.include(changed.detail, dave.fingerprint)
        assert.deepInclude(yield* dialFailure(alice, "dave", 4000), { _tag: "DialError", reason: "NameMoved" })
      })
    )
  })

/** Every connection of a port, in the order they came, for as long as the scope lives. */
const accepting = Effect.fnUntraced(function* (pilot: Service, port: number, options?: Pilot.ConnectionOptions) {
  const queue = yield* Queue.unbounded<Pilot.Connection>()
  yield* Effect.forkScoped(
    Stream.runForEach(pilot.listen(port, options), (connection) => Queue.offer(queue, connection))
  )
  return queue
})

/** Dials as soon as the port is bound. */
const dialing = (pilot: Service, target: string, port: number, options?: Pilot.DialOptions) =>
  Effect.retry(pilot.dial(target, port, options), {
    while: ({ reason }) => reason === "Refused",
    schedule: Schedule.spaced("20 millis")
  })

const connected = Effect.fnUntraced(function* (dialler: Service, listener: Service, target: string, port: number) {
  const queue = yield* accepting(listener, port)
  const dialled = yield* dialing(dialler, target, port)
  return { dialled, accepted: yield* Queue.take(queue) }
})

const dialFailure = (pilot: Service, target: string, port: number) =>
  Effect.flip(Effect.scoped(pilot.dial(target, port)))

/** The next `length` bytes as text. */
const text = (connection: Pilot.Connection, length: number) =>
  Effect.map(taken(connection, length), (bytes) => bytes.toString())

const hashOf = (connection: Pilot.Connection, length: number) => Effect.map(taken(connection, length), sha256)

/** At least so many bytes, or all until the end. */
const taken = Effect.fnUntraced(function* (connection: Pilot.Connection, length: number) {
  const chunks: Array<Uint8Array> = []
  let count = 0
  yield* Stream.runForEachWhile(connection.readable, (chunk) =>
    Effect.sync(() => {
      chunks.push(chunk)
      count += chunk.length
      return count < length
    })
  )
  return Buffer.concat(chunks)
})

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A registry whose database somebody has changed while it was down. */
const swapped = Effect.fnUntraced(function* (network: PilotNetwork.PilotNetwork, statements: ReadonlyArray<string>) {
  yield* Pilotctl.run(network.rendezvous, "rendezvous", "stop")
  const database = new DatabaseSync(`${network.rendezvous}/rendezvous.db`)
  for (const statement of statements) assert.strictEqual(database.prepare(statement).run().changes, 1, statement)
  database.close()
  const { beacon, registry } = network.card
  yield* Pilotctl.startRendezvous(network.rendezvous, "--registry-addr", registry, "--beacon-addr", beacon)
})
