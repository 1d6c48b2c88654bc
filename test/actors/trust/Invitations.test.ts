import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result, Scope } from "effect"
import type { InviteOptions } from "../../../src/actors/trust/Admissions.ts"
import type { OpenServices } from "../../../src/actors/trust/ServiceOpener.ts"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Base64Url from "../../../src/core/data/Base64Url.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as Invitation from "../../../src/protocol/trust/Invitation.ts"
import * as InvitationClaim from "../../../src/protocol/trust/InvitationClaim.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [INVITER, GUEST, OTHER] = [NodeId(1), NodeId(2), NodeId(3)]
const OPTIONS: InviteOptions = {
  registry: "rendezvous.example:9000",
  beacon: "rendezvous.example:9001",
  fingerprint: "",
  hints: [],
  services: [],
  lifeSeconds: 3600,
  uses: 1,
  boundTo: "",
  note: ""
}
const fingerprintOf = (publicKey: Uint8Array) => Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))

const scene = Effect.gen(function* () {
  const world = TrustStation.world()
  const opened: Array<readonly [number, ReadonlyArray<string>]> = []
  const openServices: OpenServices = ({ node }, services) =>
    Effect.sync(() => {
      opened.push([node, services])
      return true
    })
  const inviter = yield* TrustStation.start(world, INVITER, { openServices })
  const guest = yield* TrustStation.start(world, GUEST)
  const other = yield* TrustStation.start(world, OTHER)
  const invite = (options: Partial<InviteOptions> = {}) =>
    Effect.map(inviter.trust.admissions.invite({ ...OPTIONS, ...options }), ({ id, text }) => ({
      id,
      invitation: Result.getOrThrow(Invitation.decode(text))
    }))
  return { world, inviter, guest, other, opened, invite }
})
const redeem = (station: TrustStation.Station, invitation: Invitation.Invitation) =>
  Effect.tap(station.trust.admissions.redeem(invitation, ""), () => TrustStation.pass(10))
const trusts = (a: TrustStation.Station, b: TrustStation.Station) => [a.keys.isTrusted(b.id), b.keys.isTrusted(a.id)]

describe("Invitations", () => {
  it.effect("one string makes both trust each other, without anybody at the inviter", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, opened } = yield* scene
      const { id, invitation } = yield* invite({ services: ["files"], note: "for Bob" })

      assert.deepStrictEqual(yield* redeem(guest, invitation), { node: INVITER, status: "sent" })
      assert.deepStrictEqual(trusts(inviter, guest), [true, true])
      assert.deepStrictEqual(opened, [[GUEST, ["files"]]])
      assert.deepStrictEqual(yield* inviter.trust.pending, [])
      const [row] = yield* inviter.trust.admissions.invitations
      assert.deepInclude(row, { id, state: "used", note: "for Bob" })
      assert.deepStrictEqual(row?.redemptions[0]?.publicKey, guest.identity.publicKey)
      assert.notProperty(row, "key")
      assert.deepStrictEqual(TrustStation.admissionChanges(inviter), [
        { change: "invitation.made", subject: id },
        { change: "invitation.redeemed", subject: id, peer: GUEST }
      ])
    })
  )

  it.effect("it works through the registry's relay, for nodes that cannot reach each other yet", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, world } = yield* scene
      const { invitation } = yield* invite()
      inviter.node.offline = true
      yield* guest.trust.admissions.redeem(invitation, "")
      // Nobody polls in this tenth of a second, so what the registry reads is still there.
      const relayed = world.registry
        .inbox(INVITER)
        .requests.map(({ justification }) => justification)
        .join()
      assert.match(relayed, /^pilot-invitation:1:/)
      assert.notInclude(relayed, Base64Url.encode(invitation.secret).slice(0, 20))
      inviter.node.offline = false
      // The inviter asks the registry by itself, well before its next heartbeat.
      yield* TrustStation.pass(80)

      yield* guest.trust.poll
      yield* TrustStation.pass(10)

      assert.deepStrictEqual(trusts(inviter, guest), [true, true])
    })
  )

  it.effect("redeemed by two at once: one comes in, the other is told that it is used up", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, other } = yield* scene
      const { invitation } = yield* invite()
      yield* Effect.all([redeem(guest, invitation), redeem(other, invitation)], { concurrency: "unbounded" })
      yield* TrustStation.pass(10)

      const came = [guest, other].filter((station) => inviter.keys.isTrusted(station.id))
      assert.lengthOf(came, 1)
      const late = came[0] === guest ? other : guest
      assert.deepStrictEqual(trusts(inviter, late), [false, false])
      assert.deepStrictEqual(yield* late.trust.standing(INVITER), {
        standing: "none",
        refusal: "the invitation is used up"
      })
    })
  )

  it.effect("what was read on its way is worth nothing to the reader, directly or by relay", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, other, world } = yield* scene
      const { invitation } = yield* invite()
      const { hmacSha256 } = NativeCrypto.crypto
      const claim = InvitationClaim.make(invitation.secret, invitation.publicKey, guest.identity.publicKey, hmacSha256)
      const justification = InvitationClaim.format(claim, "")
      yield* other.trust.request(INVITER, justification)
      world.registry.inbox(INVITER).requests.push({ from: OTHER, justification, timestamp: 0 })
      yield* inviter.trust.poll
      yield* TrustStation.pass(10)

      assert.deepStrictEqual(trusts(inviter, other), [false, false])
      assert.strictEqual((yield* inviter.trust.admissions.invitations)[0]?.state, "open")
      yield* redeem(guest, invitation)
      assert.deepStrictEqual(trusts(inviter, guest), [true, true])
    })
  )

  it.effect("a stolen string that is for one key lets no other in", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, other } = yield* scene
      const { invitation } = yield* invite({ boundTo: fingerprintOf(guest.identity.publicKey) })
      yield* redeem(other, invitation)

      assert.deepStrictEqual(trusts(inviter, other), [false, false])
      assert.strictEqual((yield* other.trust.standing(INVITER)).refusal, "the invitation is for another key")
      yield* redeem(guest, invitation)
      assert.deepStrictEqual(trusts(inviter, guest), [true, true])
    })
  )

  it.effect("an expired, a revoked and a used invitation are refused", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, other } = yield* scene
      const revoked = yield* invite()
      assert.isTrue(yield* inviter.trust.admissions.revokeInvitation(revoked.id))
      assert.isFalse(yield* inviter.trust.admissions.revokeInvitation("0".repeat(16)))
      yield* redeem(guest, revoked.invitation)
      assert.strictEqual((yield* guest.trust.standing(INVITER)).refusal, "the invitation was revoked")

      const short = yield* invite({ lifeSeconds: 60 })
      yield* TrustStation.pass(650)
      const error = yield* Effect.flip(redeem(guest, short.invitation))
      assert.deepStrictEqual([error.reason, error.detail], ["NotValid", "the invitation has expired"])
      // A clock that is behind, or a program that does not look: the inviter does.
      yield* redeem(guest, { ...short.invitation, expiresAtSeconds: 4_000_000_000 })
      assert.strictEqual((yield* guest.trust.standing(INVITER)).refusal, "the invitation has expired")

      const once = yield* invite()
      yield* redeem(other, once.invitation)
      yield* redeem(guest, once.invitation)
      assert.deepStrictEqual(trusts(inviter, guest), [false, false])
      assert.deepStrictEqual(trusts(inviter, other), [true, true])
    })
  )

  it.effect("whom the inviter has put out does not come in again with the same invitation", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter } = yield* scene
      const { invitation } = yield* invite({ uses: 5 })
      yield* redeem(guest, invitation)
      const revoking = yield* Effect.forkChild(inviter.trust.revoke(GUEST), { startImmediately: true })
      yield* TrustStation.pass(20)
      yield* Fiber.join(revoking)
      yield* redeem(guest, invitation)

      assert.deepStrictEqual(trusts(inviter, guest), [false, false])
    })
  )

  it.effect("a registry that names another key for the inviter is found out: nothing is sent", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, other, world } = yield* scene
      const { invitation } = yield* invite()
      world.registry.keys.set(INVITER, other.identity.publicKey)
      const error = yield* Effect.flip(redeem(guest, invitation))

      assert.strictEqual(error.reason, "KeyChanged")
      assert.include(error.detail, fingerprintOf(inviter.identity.publicKey))
      assert.include(error.detail, fingerprintOf(other.identity.publicKey))
      assert.strictEqual(guest.node.dials, 0)
      assert.notInclude(world.registry.calls.join(), "requestHandshake")
    })
  )

  it.effect("an impostor at the inviter's node id gets nothing, and its accept counts for nothing", () =>
    Effect.gen(function* () {
      const { guest, invite, other, world } = yield* scene
      const { invitation } = yield* invite()
      world.nodes.add(INVITER, other.identity.publicKey)
      const error = yield* Effect.flip(redeem(guest, invitation))
      world.registry.inbox(GUEST).responses.push({ from: INVITER, accept: true, timestamp: 0 })
      yield* guest.trust.poll
      yield* TrustStation.pass(10)

      assert.strictEqual(error.reason, "KeyChanged")
      assert.isFalse(guest.keys.isTrusted(INVITER))
    })
  )

  it.effect("invitations, their uses and listed keys outlive the process", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const remains = { store: TrustStore.memory(), pins: TrustStation.memoryPins() }
      const first = yield* Scope.make()
      const before = yield* TrustStation.start(world, INVITER, remains).pipe(Scope.provide(first))
      const [guest, other] = [yield* TrustStation.start(world, GUEST), yield* TrustStation.start(world, OTHER)]
      const made = yield* before.trust.admissions.invite({ ...OPTIONS, uses: 2, services: ["files"] })
      const invitation = Result.getOrThrow(Invitation.decode(made.text))
      yield* redeem(guest, invitation)
      yield* before.trust.admissions.listKey(fingerprintOf(other.identity.publicKey), "build host")
      yield* Scope.close(first, Exit.void)
      const opened: Array<ReadonlyArray<string>> = []
      const openServices: OpenServices = (_, services) =>
        Effect.as(
          Effect.sync(() => opened.push(services)),
          true
        )
      const after = yield* TrustStation.start(world, INVITER, { ...remains, openServices })
      yield* TrustStation.pass(10)

      assert.isTrue(after.keys.isTrusted(GUEST))
      assert.deepInclude((yield* after.trust.admissions.invitations)[0], { id: made.id, state: "open" })
      // What was promised before the end is kept after it.
      assert.deepStrictEqual(opened, [["files"]])
      yield* other.trust.request(INVITER, "")
      yield* TrustStation.pass(10)
      assert.deepStrictEqual(trusts(after, other), [true, true])
      assert.deepInclude((yield* after.trust.admissions.listedKeys)[0], { note: "build host" })
    })
  )

  it.effect("a peer that is trusted already gets what a new invitation opens", () =>
    Effect.gen(function* () {
      const { guest, invite, opened } = yield* scene
      yield* redeem(guest, (yield* invite()).invitation)
      const more = yield* invite({ services: ["notes"] })

      assert.deepInclude(yield* redeem(guest, more.invitation), { status: "already_trusted" })
      assert.deepStrictEqual(opened, [[GUEST, ["notes"]]])
    })
  )

  it.effect("what cannot be stored was not made", () =>
    Effect.gen(function* () {
      const memory = TrustStore.memory()
      const full = () => new TrustStore.TrustNotStored({ path: "/full", detail: "no space" })
      const station = yield* TrustStation.start(TrustStation.world(), INVITER, { store: { ...memory, save: full } })
      const error = yield* Effect.flip(station.trust.admissions.invite(OPTIONS))

      assert.strictEqual(error.reason, "NotStored")
      assert.deepStrictEqual(yield* station.trust.admissions.invitations, [])
    })
  )

  it.effect("what no invitation can say is refused with its reason", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter } = yield* scene
      const wrong: ReadonlyArray<Partial<InviteOptions>> = [
        { uses: 0 },
        { uses: 257 },
        { lifeSeconds: 0 },
        { services: Array.from({ length: 17 }, () => "s") },
        { boundTo: "ABCD" },
        { registry: "x".repeat(300) }
      ]
      for (const options of wrong) assert.strictEqual((yield* Effect.flip(invite(options))).reason, "NotValid")
      const { invitation } = yield* invite()
      const own = yield* Effect.flip(inviter.trust.admissions.redeem(invitation, ""))
      assert.include(own.detail, "this node itself")
      const nobody = yield* Effect.flip(guest.trust.admissions.redeem({ ...invitation, node: NodeId(77) }, ""))
      assert.strictEqual(nobody.reason, "UnknownPeer")
    })
  )

  it.effect("a listed key needs nobody, a key that is not listed does, and a struck one again", () =>
    Effect.gen(function* () {
      const { guest, inviter, other } = yield* scene
      yield* inviter.trust.admissions.listKey(fingerprintOf(guest.identity.publicKey).toLowerCase(), "")
      yield* guest.trust.request(INVITER, "")
      yield* other.trust.request(INVITER, "")
      yield* TrustStation.pass(10)

      assert.deepStrictEqual(trusts(inviter, guest), [true, true])
      assert.deepStrictEqual(trusts(inviter, other), [false, false])
      const struck = fingerprintOf(guest.identity.publicKey)
      assert.isTrue(yield* inviter.trust.admissions.unlistKey(struck))
      assert.isFalse(yield* inviter.trust.admissions.unlistKey(struck))
      assert.deepStrictEqual(TrustStation.admissionChanges(inviter), [
        { change: "key.listed", subject: struck },
        { change: "key.unlisted", subject: struck }
      ])
      assert.strictEqual((yield* Effect.flip(inviter.trust.admissions.listKey("x", ""))).reason, "NotValid")
    })
  )

  it.effect("a claim in a signed message of the right key is what counts, not the node that carries it", () =>
    Effect.gen(function* () {
      const { guest, invite, inviter, world } = yield* scene
      const { invitation } = yield* invite()
      const claim = InvitationClaim.make(
        invitation.secret,
        invitation.publicKey,
        guest.identity.publicKey,
        NativeCrypto.crypto.hmacSha256
      )
      // The guest's own signed request, through a tunnel of somebody else who took its node id.
      const impostor = world.nodes.add(GUEST, TrustStation.identityOf(9).publicKey)
      const connection = yield* impostor.service.dial(Address.make(0, INVITER), Address.Port(HandshakeMessage.PORT))
      const message = TrustStation.message({ id: GUEST, identity: guest.identity }, INVITER, {
        justification: InvitationClaim.format(claim, ""),
        unixSeconds: 1
      })
      yield* connection.write(HandshakeMessage.encode(message))
      yield* TrustStation.pass(10)

      assert.isFalse(inviter.keys.isTrusted(GUEST))
      assert.strictEqual((yield* inviter.trust.admissions.invitations)[0]?.state, "open")
    })
  )
})
