import { assert, describe, it } from "@effect/vitest"
import type * as Json from "../../../src/core/data/Json.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { Desk, keyText, register, sign, signed, unsignedRegister } from "../../support/RegistryRequests.ts"

const node = (id: number) => NodeId(id)
const resolve = (seed: number, requester: number, target: number) =>
  signed(seed, { _tag: "Resolve", node: node(target), requester: node(requester), signature: "" })
const lookup = (id: number): Json.JsonObject => ({ type: "lookup", node_id: id })
const heartbeat = (seed: number, id: number) => signed(seed, { _tag: "Heartbeat", node: node(id), signature: "" })

/** Nodes 1 … `count`, registered signed with the keys of the same number. */
const deskOf = (count: number, policy = {}): Desk => {
  const desk = new Desk(policy)
  for (let seed = 1; seed <= count; seed++) desk.ask(register(seed), seed)
  return desk
}

describe("Registry, security rule 4", () => {
  it("refuses an unsigned registration unless the operator admits old nodes, and says how", () => {
    const { refusal, reply } = new Desk().ask(unsignedRegister(1))

    assert.strictEqual(refusal?.code, "unsigned_register")
    assert.strictEqual(reply["error"], "request failed")
    assert.include(refusal?.detail, "--compat-unsigned-register")
  })

  it("keeps a key signed once it registered signed, whatever the operator admits", () => {
    const desk = deskOf(1, { allowUnsignedRegister: true })

    assert.strictEqual(desk.tell(unsignedRegister(1), 66), "signature_required")
    assert.strictEqual(desk.tell({ ...unsignedRegister(1), signature: sign(2, "whatever") }, 66), "signature_invalid")
    desk.ask(signed(1, { _tag: "Deregister", node: node(1), signature: "" }))
    assert.strictEqual(desk.tell(unsignedRegister(1), 66), "signature_required")
    desk.ask(register(1), 1)
    desk.ask(signed(1, { _tag: "SetVisibility", node: node(1), isPublic: true, signature: "" }))
    assert.include(desk.tell(lookup(1)), { real_addr: "192.0.2.1:4001" })
  })

  it("binds the signature to the listen address and the key as sent (rendezvous §14.3)", () => {
    const desk = new Desk()
    assert.strictEqual(desk.tell({ ...register(1), listen_addr: ":9" }), "signature_invalid")
    assert.strictEqual(desk.tell({ ...register(1), public_key: keyText(2) }), "signature_invalid")
  })

  it("never lets an owner text take a live or a signed node", () => {
    const policy = { allowUnsignedRegister: true, allowOwnerTakeover: true }
    const desk = new Desk(policy)
    desk.ask(unsignedRegister(1, { owner: "o" }))
    desk.ask(register(2, { owner: "p" }))
    desk.ask(signed(2, { _tag: "Deregister", node: node(2), signature: "" }))

    assert.include(desk.tell(unsignedRegister(3, { owner: "o" })), { node_id: 3 })
    assert.include(desk.tell(unsignedRegister(4, { owner: "p" })), { node_id: 4 })
    desk.ask(signed(1, { _tag: "Deregister", node: node(1), signature: "" }))
    assert.include(desk.tell(unsignedRegister(5, { owner: "o" })), { node_id: 1 })
  })

  it("does without owner takeover by default", () => {
    const desk = new Desk({ allowUnsignedRegister: true })
    desk.ask(unsignedRegister(1, { owner: "o" }))
    desk.ask(signed(1, { _tag: "Deregister", node: node(1), signature: "" }))

    assert.include(desk.tell(unsignedRegister(2, { owner: "o" })), { node_id: 2 })
  })

  const rotation = (text: string, id = 1, next = 9) => ({
    type: "rotate_key",
    node_id: id,
    new_public_key: keyText(next),
    signature: sign(id, text)
  })

  it("accepts a rotation only when its signature names the new key", () => {
    const desk = deskOf(2)
    assert.strictEqual(desk.tell(rotation("rotate:1")), "unbound_rotation")
    assert.strictEqual(desk.tell(rotation(`rotate:1:${keyText(8)}`)), "signature_invalid")
    assert.strictEqual(desk.tell(rotation(`rotate:1:${keyText(2)}`, 1, 2)), "key_in_use")
    assert.include(desk.tell(rotation(`rotate:1:${keyText(9)}`)), { public_key: keyText(9) })
    assert.strictEqual(desk.tell(heartbeat(1, 1)), "signature_invalid")
    assert.include(desk.tell(heartbeat(9, 1)), { type: "heartbeat_ok" })
  })

  it("accepts the unbound rotation from never signed nodes under its option, and not after a bound one", () => {
    const desk = new Desk({ allowUnsignedRegister: true, allowUnboundRotation: true })
    desk.ask(unsignedRegister(1))
    desk.ask(register(2))

    assert.include(desk.tell(rotation("rotate:1", 1, 3)), { public_key: keyText(3) })
    assert.strictEqual(desk.tell(rotation("rotate:2", 2, 4)), "unbound_rotation")
    desk.ask({ ...rotation("", 1, 5), signature: sign(3, `rotate:1:${keyText(5)}`) })
    assert.strictEqual(desk.tell({ ...rotation("", 1, 6), signature: sign(5, "rotate:1") }), "unbound_rotation")
  })

  it("refuses the timeless heartbeat from a node that has signed the time (rendezvous §2.5)", () => {
    const desk = deskOf(1)
    const bound = (seconds: number) => ({
      ...heartbeat(1, 1),
      ts: seconds,
      signature: sign(1, `heartbeat:1:${seconds}`)
    })
    const { unixSeconds } = desk.at

    assert.include(desk.tell(heartbeat(1, 1)), { type: "heartbeat_ok" })
    assert.include(desk.tell(bound(unixSeconds)), { type: "heartbeat_ok" })
    assert.strictEqual(desk.tell(heartbeat(1, 1)), "signature_invalid")
    assert.strictEqual(desk.tell(bound(unixSeconds - 301)), "signature_invalid")
  })

  it("lets nobody write reputation unsigned, and only the operator set it", () => {
    const desk = deskOf(2, { adminToken: "secret" })
    const update = (members: Json.JsonObject) => ({ type: "update_polo_score", node_id: 1, delta: 5, ...members })
    const set = (token: string) => ({ type: "set_polo_score", node_id: 1, polo_score: 50, admin_token: token })

    assert.strictEqual(desk.tell(update({})), "signature_required")
    assert.strictEqual(
      desk.tell(update({ requester_id: 1, signature: sign(1, "update_polo_score:1:1:5") })),
      "not_participant"
    )
    assert.strictEqual(desk.tell(update({ delta: 101, admin_token: "secret" })), "limit_exceeded")
    const byPeer = update({ requester_id: 2, signature: sign(2, "update_polo_score:2:1:5") })
    assert.include(desk.tell(byPeer), { polo_score: 5 })
    assert.strictEqual(desk.tell(set("secrex")), "admin_token_required")
    assert.include(desk.tell(set("secret")), { polo_score: 50 })
  })
})

describe("Registry, nodes", () => {
  it("takes the host from the connection and the port from the request, or all from the connection", () => {
    const endpointFor = (listen: string) => {
      const desk = new Desk({ allowUnsignedRegister: true })
      desk.ask(unsignedRegister(1, { listen_addr: listen }), 7)
      desk.ask(signed(1, { _tag: "SetVisibility", node: node(1), isPublic: true, signature: "" }))
      const reply = desk.ask(lookup(1)).reply
      return reply["real_addr"]
    }
    assert.strictEqual(endpointFor("203.0.113.9:4000"), "192.0.2.7:4000")
    assert.strictEqual(endpointFor(":4000"), "192.0.2.7:4000")
    assert.strictEqual(endpointFor("[::]:4000"), "192.0.2.7:4000")
    for (const listen of ["", "4000", "x:abc", "::4000", ":0", ":65536", "a]:1"]) {
      assert.strictEqual(endpointFor(listen), "192.0.2.7:50000", listen)
    }
  })

  it("knows one key in two spellings as one node", () => {
    const desk = new Desk({ allowUnsignedRegister: true })
    const spare = `${keyText(1).slice(0, -2)}${keyText(1).at(-2) === "E" ? "F" : "E"}=`
    assert.include(desk.tell(unsignedRegister(1)), { node_id: 1 })
    assert.include(
      desk.tell({ ...unsignedRegister(1), public_key: `${keyText(1).slice(0, 8)}\n${keyText(1).slice(8)}` }),
      {
        node_id: 1
      }
    )
    assert.include(desk.tell({ ...unsignedRegister(1), public_key: spare }), { node_id: 1 })
  })

  it("keeps name, visibility and tags for a node that was away, and its name from others for a week", () => {
    const desk = deskOf(1)
    desk.ask(register(1, { hostname: "alpha" }))
    desk.ask(signed(1, { _tag: "SetVisibility", node: node(1), isPublic: true, signature: "" }))
    desk.ask(signed(1, { _tag: "SetTags", node: node(1), tags: ["#gpu"], signature: "" }))
    desk.nowMs += 241_000
    desk.registry.sweep(desk.at)

    assert.strictEqual(desk.tell(lookup(1)), "node_not_found")
    assert.strictEqual(desk.tell({ type: "resolve_hostname", hostname: "alpha" }), "hostname_not_found")
    assert.include(desk.tell(register(2, { hostname: "alpha" })), {
      node_id: 2,
      hostname_error: 'hostname "alpha" already in use'
    })
    assert.include(desk.tell(register(1)), { node_id: 1 })
    assert.deepInclude(desk.tell(lookup(1)), { hostname: "alpha", public: true, tags: ["gpu"] })

    desk.ask(signed(1, { _tag: "Deregister", node: node(1), signature: "" }))
    desk.nowMs += 8 * 24 * 3600 * 1000
    assert.include(desk.tell(register(2, { hostname: "alpha" })), { node_id: 2, hostname: "alpha" })
    assert.notProperty(desk.ask(register(1)).reply, "hostname")
  })

  it("stays present by heartbeats and registrations only (rendezvous §3.1)", () => {
    const desk = deskOf(2, { adminToken: "t", allowOpenPolo: true })
    for (let minute = 0; minute < 5; minute++) {
      desk.nowMs += 60_000
      desk.ask(heartbeat(2, 2))
      desk.ask({ type: "update_polo_score", node_id: 1, delta: 1 })
      desk.ask({ type: "set_polo_score", node_id: 1, polo_score: 1, admin_token: "t" })
      desk.registry.sweep(desk.at)
    }
    assert.strictEqual(desk.tell(lookup(1)), "node_not_found")
    assert.include(desk.tell(lookup(2)), { type: "lookup_ok" })
  })

  it("limits new keys per source, an IPv6 /64 counting as one, but not known ones (rendezvous §3.2)", () => {
    const desk = new Desk()
    for (let seed = 1; seed <= 10; seed++) assert.include(desk.tell(register(seed)), { node_id: seed })
    assert.strictEqual(desk.tell(register(11)), "rate_limited")
    assert.include(desk.tell(register(3)), { node_id: 3 })
    assert.include(desk.tell(register(11), 2), { node_id: 11 })
    const from = (host: string, seed: number) => desk.registry.handle(register(seed), { host, port: 1 }, desk.at)
    for (let seed = 20; seed < 30; seed++) from(`2001:db8:0:1::${seed}`, seed)
    assert.strictEqual(from("2001:db8:0:1:ffff::1", 30).refusal?.code, "rate_limited")
    assert.isUndefined(from("2001:db8:0:2::1", 31).refusal)
  })
})

describe("Registry, trust", () => {
  const report = (from: number, to: number) =>
    signed(from, { _tag: "ReportTrust", node: node(from), peer: node(to), signature: "" })
  const request = (from: number, to: number, justification = "") =>
    signed(from, { _tag: "RequestHandshake", from: node(from), to: node(to), justification, signature: "" })
  const respond = (from: number, to: number, accept = true) =>
    signed(from, { _tag: "RespondHandshake", node: node(from), peer: node(to), accept, signature: "" })
  const poll = (id: number) => signed(id, { _tag: "PollHandshakes", node: node(id), signature: "" })

  it("makes a pair of two reports, never of one (rendezvous §4.8)", () => {
    const desk = deskOf(2)
    desk.ask(report(1, 2))
    assert.strictEqual(desk.tell(resolve(1, 1, 2)), "private_node")
    assert.strictEqual(desk.tell(resolve(2, 2, 1)), "private_node")
    desk.ask(report(2, 1))
    assert.include(desk.tell(resolve(1, 1, 2)), { real_addr: "192.0.2.2:4002" })
    desk.ask(signed(2, { _tag: "RevokeTrust", node: node(2), peer: node(1), signature: "" }))
    assert.strictEqual(desk.tell(resolve(1, 1, 2)), "private_node")
  })

  it("makes a pair of an accepted relayed request, even long after its delivery (rendezvous §4.12)", () => {
    const desk = deskOf(2)
    desk.ask(request(1, 2))
    desk.ask(poll(2))
    assert.include(desk.tell(respond(2, 1)), { accept: true, peer_id: 1 })
    assert.include(desk.tell(resolve(1, 1, 2)), { real_addr: "192.0.2.2:4002" })
  })

  it("makes no pair of an accept that nobody asked for", () => {
    const desk = deskOf(2)
    desk.ask(respond(2, 1))
    assert.strictEqual(desk.tell(resolve(2, 2, 1)), "private_node")
    assert.deepInclude(desk.ask(poll(1)).reply["responses"], {
      from_node_id: 2,
      accept: true,
      timestamp: 1_800_000_000
    })
  })

  it("applies the rule of resolve to punch (rendezvous §4.7)", () => {
    const desk = deskOf(2)
    const punch = (seed: number, a: number, b: number) =>
      signed(seed, { _tag: "Punch", requester: node(seed), a: node(a), b: node(b), signature: "" })
    assert.strictEqual(desk.tell(punch(1, 1, 2)), "private_node")
    desk.ask(report(1, 2))
    desk.ask(report(2, 1))
    assert.include(desk.tell(punch(1, 1, 2)), { node_a_addr: "192.0.2.1:4001", node_b_addr: "192.0.2.2:4002" })
  })

  it("bounds the justification and what waits for a node", () => {
    const desk = new Desk()
    for (let seed = 1; seed <= 103; seed++) desk.ask(register(seed), seed)
    assert.strictEqual(desk.tell(request(1, 2, "é".repeat(513))), "limit_exceeded")
    assert.include(desk.tell(request(1, 2, "é".repeat(512))), { status: "delivered" })
    assert.strictEqual(desk.tell(request(1, 2)), "handshake_pending")
    for (let seed = 3; seed <= 101; seed++) assert.include(desk.tell(request(seed, 2), seed), { status: "delivered" })
    assert.strictEqual(desk.tell(request(102, 2), 102), "handshake_inbox_full")
  })

  it("gives LAN addresses to trusted peers and to those behind the same address", () => {
    const desk = new Desk()
    desk.ask(register(1, { lan: ["10.0.0.1:4001", "not an address", "example.org:1", "[fe80::1]:5"] }), 1)
    desk.ask(register(2), 1)
    desk.ask(register(3), 3)
    desk.ask(signed(1, { _tag: "SetVisibility", node: node(1), isPublic: true, signature: "" }))

    assert.deepInclude(desk.tell(resolve(2, 2, 1)), { lan_addrs: ["10.0.0.1:4001", "[fe80::1]:5"] })
    assert.notProperty(desk.ask(resolve(3, 3, 1)).reply, "lan_addrs")
  })
})
