import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { Memberships } from "../../src/actors/membership/Memberships.ts"
import { Node } from "../../src/actors/node/Node.ts"
import { Trust } from "../../src/actors/trust/Trust.ts"
import * as Messages from "../../src/api/Messages.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as LocalNode from "../../src/protocol/wire/LocalNode.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { HOME, type SimNode } from "../../src/testing/SimNode.ts"
import { call, initialize, server } from "./McpPrograms.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** Anna is registered at the first rendezvous only, Bert at another only, Carl at both. */
const world = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const other = yield* net.rendezvous("other")
  const anna = yield* net.node("anna", { programs: { say: server } })
  const bert = yield* net.node("bert", { rendezvous: other, programs: { say: server } })
  const carl = yield* net.node("carl", { config: { rendezvous: [other.word("two")] } })
  yield* joined(net, carl)
  return { other, anna, bert, carl }
})

const memberships = (node: SimNode) => node.run(Effect.flatMap(Memberships, ({ list }) => list))
const states = (node: SimNode) =>
  Effect.map(memberships(node), (all) => all.map(({ alias, state }) => `${alias} ${state}`))
/** Registering elsewhere goes on beside the start. */
const joined = (net: SimNet.SimNet, node: SimNode): Effect.Effect<void> =>
  net.run(
    Effect.gen(function* () {
      while ((yield* states(node)).some((text) => !text.endsWith("joined"))) yield* Effect.sleep("100 millis")
    })
  )
const say = (from: SimNode, to: string, text: string) =>
  Effect.map(Effect.result(from.run(Messages.send(to, { text }))), (sent) =>
    Result.isSuccess(sent) ? "sent" : sent.failure.message
  )
const heard = (node: SimNode) =>
  Effect.map(node.run(Messages.inbox), (all) =>
    all.map(({ from, text }) => `${from} ${Option.getOrElse(Option.fromNullishOr(text), () => "")}`)
  )

describe("several rendezvous, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("agents of two operators meet at a node that both know, whatever ids they have", () =>
    SimNet.run({ seed: 5801 }, (net) =>
      Effect.gen(function* () {
        const { anna, bert, carl } = yield* world(net)
        yield* net.trust(anna, carl)
        yield* net.trust(carl, bert)

        const ids = yield* Effect.forEach([anna, bert], ({ run }) => run(Pilot.info))
        assert.deepStrictEqual(
          ids.map(({ node }) => node),
          [1, 1],
          "both registries call theirs the first"
        )
        assert.strictEqual(yield* say(carl, "anna", "to anna"), "sent")
        assert.strictEqual(yield* say(carl, "bert", "to bert"), "sent")
        assert.strictEqual(yield* say(anna, "carl", "from anna"), "sent")
        assert.strictEqual(yield* say(bert, "carl", "from bert"), "sent")
        yield* net.sleep("1 second")
        assert.lengthOf(yield* heard(anna), 1)
        assert.lengthOf(yield* heard(bert), 1)
        const inbox = yield* carl.run(Messages.inbox)
        assert.deepStrictEqual(inbox.map(({ from }) => from).toSorted(), ["0:0000.0000.0001", "0:0000.1000.0001"])

        for (const [host, peer] of [
          [anna, "anna"],
          [bert, "bert@two"]
        ] as const) {
          yield* net.expose(host, { name: "say", command: "say", allow: [carl] })
          const client = yield* net.connect(carl, peer, "say")
          yield* initialize(client)
          assert.deepInclude(yield* call(client, 1, "hello", 10), { _tag: "Result", text: "hello" })
        }
        const { peers } = yield* carl.run(Effect.flatMap(Node, ({ status }) => status))
        assert.deepStrictEqual(peers.map(({ node }) => LocalNode.slotOf(node)).toSorted(), [0, 1])
      })
    )
  )

  it.effect("one that dies disturbs nobody else, and is there again when it returns", () =>
    SimNet.run({ seed: 5802 }, (net) =>
      Effect.gen(function* () {
        const { anna, bert, carl, other } = yield* world(net)
        yield* net.trust(anna, carl)
        yield* net.trust(carl, bert)
        yield* other.crash
        yield* net.sleep("3 minutes")

        assert.deepStrictEqual(yield* states(carl), ["home joined", "two away"])
        assert.strictEqual(yield* say(carl, "anna", "still"), "sent")

        yield* net.crash(carl)
        yield* net.restart(carl)
        assert.deepStrictEqual(yield* states(carl), ["home joined", "two joining"])
        assert.strictEqual(yield* say(carl, "anna", "again"), "sent")
        assert.match(yield* say(carl, "bert@two", "no"), /not registered|two|other/)

        yield* other.start
        yield* net.sleep("3 minutes")
        yield* joined(net, carl)
        assert.strictEqual(yield* say(carl, "bert@two", "back"), "sent")
        assert.strictEqual(yield* say(bert, "carl", "welcome"), "sent")

        yield* net.crashRendezvous
        yield* net.crash(carl)
        yield* net.restart(carl)
        yield* net.sleep("10 seconds")
        assert.strictEqual(yield* say(carl, "bert@two", "home is away"), "sent")
        assert.deepStrictEqual(yield* states(carl), ["home joining", "two joined"])
        yield* net.restartRendezvous
        yield* net.sleep("3 minutes")
        yield* joined(net, carl)
        assert.strictEqual(yield* say(carl, "anna", "all is well"), "sent")
      })
    )
  )

  it.effect(
    "what is left is left: its peers are strangers, its registry forgets the node; joining again begins anew",
    () =>
      SimNet.run({ seed: 5803 }, (net) =>
        Effect.gen(function* () {
          const other = yield* net.rendezvous("other")
          const anna = yield* net.node("anna")
          const bert = yield* net.node("bert", { rendezvous: other })
          const carl = yield* net.node("carl")
          const wanted = {
            registry: other.registry(false),
            beacon: other.beacon(false),
            fingerprint: other.fingerprint
          }
          const change = <A, E>(use: (service: Memberships["Service"]) => Effect.Effect<A, E>) =>
            Effect.result(carl.run(Effect.flatMap(Memberships, use)))
          const first = yield* change(({ join }) => join({ ...wanted, alias: "two" }))
          assert.strictEqual(Result.isSuccess(first) ? first.success.state : first.failure.message, "joined")
          yield* net.trust(anna, carl)
          yield* net.trust(carl, bert)
          yield* net.kill(carl)
          yield* net.restart(carl)
          yield* joined(net, carl)
          assert.strictEqual(yield* say(bert, "carl", "after a restart"), "sent")

          assert.isTrue(Result.isSuccess(yield* change(({ leave }) => leave("two"))))

          assert.deepStrictEqual(yield* states(carl), ["home joined"])
          assert.match(yield* say(carl, "bert@two", "no"), /no rendezvous is called two/)
          assert.match(yield* say(bert, "carl", "no"), /knows no such node|does not answer/)
          assert.lengthOf(yield* carl.run(Effect.flatMap(Trust, ({ trusted }) => trusted)), 1)
          assert.isUndefined(carl.machine.disk.find(`${HOME}/memberships/two`))
          yield* net.kill(carl)
          yield* net.restart(carl)
          assert.strictEqual(yield* say(carl, "anna", "still here"), "sent")

          const again = yield* change(({ join }) => join({ ...wanted, alias: "three" }))
          assert.strictEqual(Result.isSuccess(again) ? again.success.state : again.failure.message, "joined")
          const twice = yield* change(({ join }) => join(wanted))
          assert.strictEqual(Result.isFailure(twice) ? twice.failure.reason : "", "AlreadyJoined")
          yield* net.trust(carl, bert)
          assert.strictEqual(yield* say(carl, "bert@three", "hello again"), "sent")

          yield* change(({ leave }) => leave("three"))
          yield* other.crash
          const refused = yield* change(({ join }) => join({ ...wanted, alias: "dead" }))
          assert.strictEqual(Result.isFailure(refused) ? refused.failure.reason : "", "NotJoined")
          assert.deepStrictEqual(yield* states(carl), ["home joined"])
        })
      )
  )

  it.effect("a key that is trusted in one membership is trusted in the other, and revoked in both", () =>
    SimNet.run({ seed: 5804 }, (net) =>
      Effect.gen(function* () {
        const other = yield* net.rendezvous("other")
        const [anna, carl] = yield* Effect.forEach(["anna", "carl"], (name) =>
          net.node(name, { config: { rendezvous: other.word("two") } })
        )
        yield* joined(net, anna!)
        yield* joined(net, carl!)
        yield* net.trust(anna!, carl!)

        assert.strictEqual(yield* say(carl!, "anna@two", "by the other way"), "sent")
        const trusted = Effect.flatMap(Trust, (trust) => trust.trusted)
        const rows = yield* anna!.run(trusted)
        assert.deepStrictEqual(rows.map(({ node }) => LocalNode.slotOf(node)).toSorted(), [0, 1])

        yield* anna!.run(Effect.flatMap(Trust, (trust) => trust.revoke(rows[1]!.node)))
        assert.deepStrictEqual(yield* anna!.run(trusted), [])
        assert.notStrictEqual(yield* say(carl!, "anna@two", "no more"), "sent")
      })
    )
  )

  it.effect("trust made where the registry is away now is seen, and ended, all the same", () =>
    SimNet.run({ seed: 5806 }, (net) =>
      Effect.gen(function* () {
        const other = yield* net.rendezvous("other")
        const [anna, carl] = yield* Effect.all([
          net.node("anna", { config: { rendezvous: other.word("two") } }),
          net.node("carl", { config: { rendezvous: other.word("two") } })
        ])
        yield* joined(net, anna)
        yield* joined(net, carl)
        const trust = <A, E>(node: SimNode, use: (trust: Trust["Service"]) => Effect.Effect<A, E>) =>
          node.run(Effect.flatMap(Trust, use))
        const idOf = (node: SimNode) => Effect.map(memberships(node), (all) => all.map(({ address }) => address!.node))
        const [annaAt, carlAt] = [yield* idOf(anna), yield* idOf(carl)]
        yield* trust(carl, ({ request }) => request(annaAt[1]!, ""))
        yield* net.sleep("1 second")
        yield* trust(anna, ({ approve }) => approve(carlAt[1]!))
        yield* net.sleep("1 second")
        assert.strictEqual(yield* say(carl, "anna@home", "at home too"), "sent")

        yield* other.crash
        yield* net.crash(anna)
        yield* net.restart(anna)
        assert.deepStrictEqual(yield* states(anna), ["home joined", "two joining"])
        assert.strictEqual(yield* say(anna, "carl@home", "back"), "sent")
        assert.strictEqual(yield* say(carl, "anna@home", "still trusted"), "sent")
        const seen = () =>
          Effect.map(
            trust(anna, (it) => it.trusted),
            (rows) => rows.map(({ node }) => node)
          )
        assert.include(yield* seen(), carlAt[0]!)

        yield* trust(anna, ({ revoke }) => revoke(carlAt[0]!))
        assert.deepStrictEqual(yield* seen(), [])
        assert.notStrictEqual(yield* say(carl, "anna@home", "no more"), "sent")
        yield* net.crash(anna)
        yield* net.restart(anna)
        assert.notStrictEqual(yield* say(carl, "anna@home", "nor after a restart"), "sent")
        yield* other.start
        yield* net.sleep("3 minutes")
        yield* joined(net, anna)
        assert.deepStrictEqual(yield* seen(), [])
        assert.notStrictEqual(yield* say(carl, "anna@two", "nor there"), "sent")
      })
    )
  )

  it.effect("a name that two registries give to different keys is said to be of both, and each can be meant", () =>
    SimNet.run({ seed: 5805 }, (net) =>
      Effect.gen(function* () {
        const { anna, carl, other } = yield* world(net)
        const namesake = yield* net.node("namesake", { rendezvous: other, config: { hostname: "anna" } })
        const resolved = (target: string) =>
          Effect.map(Effect.result(carl.run(Pilot.resolve(target))), (found) =>
            Result.isSuccess(found) ? found.success.fingerprint : found.failure.message
          )
        const [first, second] = yield* Effect.forEach([anna, namesake], ({ run }) =>
          Effect.map(run(Pilot.info), ({ fingerprint }) => fingerprint)
        )

        assert.match(yield* resolved("anna"), /anna@home or anna@two/)
        assert.strictEqual(yield* resolved("anna@home"), first)
        assert.strictEqual(yield* resolved("anna"), first, "it has led there before")
        assert.strictEqual(yield* resolved("anna@two"), second)
        assert.match(yield* resolved("anna"), /anna@home or anna@two/)
        assert.match(yield* resolved("anna@three"), /no rendezvous is called three/)
      })
    )
  )
})
