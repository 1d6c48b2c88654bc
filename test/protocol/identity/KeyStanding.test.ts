import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as KeyHistory from "../../../src/protocol/identity/KeyHistory.ts"
import * as KeySigning from "../../../src/protocol/identity/KeySigning.ts"
import * as KeyStanding from "../../../src/protocol/identity/KeyStanding.ts"
import * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { BEGIN, cancel, DAY, enrol, key, numberOf, reader, rotate, verify } from "../../support/KeyChains.ts"

/** The owner's recovery key and a thief's. */
const R = 9
const T = 8
const byRecovery = { by: "recovery", recovery: R } as const

/** What counts on a day: the path in numbers of keys, and what else there is to say. */
const on = (history: KeyHistory.KeyHistory, day: number) => {
  const { fork, isRecoveryContested, path, pending } = KeyStanding.at(history, BEGIN + day * DAY)
  return {
    path: path.map(numberOf),
    ...(pending && { pending: [numberOf(pending.next), (pending.fromSeconds - BEGIN) / DAY] }),
    ...(fork && { fork: fork.map(numberOf) }),
    ...(isRecoveryContested && { isRecoveryContested })
  }
}

describe("KeyStanding", () => {
  it("lets a key that the key alone has named wait seven days from when this reader learnt of it (security rule 9)", () => {
    const early = reader(1, [[0, rotate(1, 2)]])
    const late = reader(1, [[5, rotate(1, 2)]])

    assert.deepStrictEqual(on(early, 6.99), { path: [1], pending: [2, 7] })
    assert.deepStrictEqual(on(early, 7), { path: [1, 2] })
    assert.deepStrictEqual(on(late, 7), { path: [1], pending: [2, 12] })
    assert.deepStrictEqual(on(late, 12), { path: [1, 2] })
  })

  it("takes the word of the recovery key at once", () => {
    const history = reader(1, [[0, rotate(1, 2, byRecovery)]], [enrol(1, R)])

    assert.deepStrictEqual(on(history, 0), { path: [1, 2] })
  })

  it("takes a recovery key that was enrolled later only after seven days", () => {
    const history = reader(1, [
      [0, enrol(1, R)],
      [3, rotate(1, 2, byRecovery)]
    ])

    assert.deepStrictEqual(on(history, 3), { path: [1], pending: [2, 7] })
    assert.deepStrictEqual(on(history, 7), { path: [1, 2] })
  })

  it("lets the recovery key win over a thief who was first, before and after the thief's key counts", () => {
    const story = reader(1, [[0, rotate(1, 3, { recovery: R })]], [enrol(1, R)])
    const early = KeyHistory.learn(story, [rotate(1, 2, byRecovery)], seen(2))
    const late = KeyHistory.learn(story, [rotate(1, 2, byRecovery)], seen(30))

    assert.deepStrictEqual(on(early, 2), { path: [1, 2] })
    assert.deepStrictEqual(on(story, 29), { path: [1, 3] })
    assert.deepStrictEqual(on(late, 30), { path: [1, 2] })
  })

  it("knows no key that a thief has named under another recovery key than the one in force", () => {
    const history = reader(1, [[0, rotate(1, 3, { recovery: T })]], [enrol(1, R)])

    assert.deepStrictEqual(on(history, 30), { path: [1] })
  })

  it("lets neither of two recovery keys count that the key alone has enrolled within seven days", () => {
    const both = reader(1, [
      [0, enrol(1, T)],
      [6, enrol(1, R)],
      [8, rotate(1, 3, { by: "recovery", recovery: T })]
    ])
    const tooLate = reader(1, [
      [0, enrol(1, R)],
      [7, enrol(1, T)],
      [8, rotate(1, 2, byRecovery)]
    ])

    assert.deepStrictEqual(on(both, 30), { path: [1], isRecoveryContested: true })
    assert.deepStrictEqual(on(tooLate, 8), { path: [1, 2] })
  })

  it("lets a recovery key name its successor, which the key alone cannot", () => {
    const followed = reader(
      1,
      [
        [1, enrol(1, 7, R)],
        [2, rotate(1, 2, { by: "recovery", recovery: 7 })]
      ],
      [enrol(1, R)]
    )

    assert.deepStrictEqual(on(followed, 2), { path: [1, 2] })
    const { recovery } = KeyStanding.at(followed, BEGIN + 3 * DAY)
    assert.strictEqual(numberOf(recovery!.key), 7)
  })

  it("freezes at a fork, whenever the second key appears", () => {
    const pending = reader(1, [
      [0, rotate(1, 2)],
      [1, rotate(1, 3)]
    ])
    const afterwards = reader(1, [
      [0, rotate(1, 2)],
      [40, rotate(1, 3)]
    ])
    const recovered = KeyHistory.learn(
      reader(
        1,
        [
          [0, rotate(1, 2, { recovery: R })],
          [1, rotate(1, 3, { recovery: R })]
        ],
        [enrol(1, R)]
      ),
      [rotate(1, 4, byRecovery)],
      seen(2)
    )

    assert.deepStrictEqual(on(pending, 30), { path: [1], fork: [2, 3] })
    assert.deepStrictEqual(on(afterwards, 40), { path: [1], fork: [2, 3] })
    assert.deepStrictEqual(on(recovered, 2), { path: [1, 4] })
  })

  it("freezes when the recovery key itself says two things", () => {
    const history = reader(
      1,
      [
        [0, rotate(1, 2, byRecovery)],
        [9, rotate(1, 3, byRecovery)]
      ],
      [enrol(1, R)]
    )

    assert.deepStrictEqual(on(history, 9), { path: [1], fork: [2, 3] })
  })

  it("takes back what does not count yet, by the key, the recovery key or a person, and nothing that does", () => {
    const story = reader(1, [[0, rotate(1, 2, { recovery: R })]], [enrol(1, R)])
    const cancelled = (day: number, words = {}) =>
      KeyHistory.learn(story, [cancel(1, 2, { recovery: R, ...words })], seen(day))

    assert.deepStrictEqual(on(cancelled(6), 30), { path: [1] })
    assert.deepStrictEqual(on(cancelled(6, { by: "recovery" }), 30), { path: [1] })
    assert.deepStrictEqual(on(KeyHistory.refuse(story, key(2).publicKey), 30), { path: [1] })
    assert.deepStrictEqual(on(cancelled(7), 30), { path: [1, 2] })
    const decisive = reader(1, [[0, rotate(1, 2, byRecovery)]], [enrol(1, R)])
    const tried = KeyHistory.learn(decisive, [cancel(1, 2, { recovery: R })], seen(0))
    assert.deepStrictEqual(on(tried, 0), { path: [1, 2] })
  })

  it("goes on after a cancelled key without taking the next one for a fork", () => {
    const history = reader(1, [
      [0, rotate(1, 2)],
      [1, cancel(1, 2)],
      [2, rotate(1, 3)]
    ])

    assert.deepStrictEqual(on(history, 2), { path: [1], pending: [3, 9] })
    assert.deepStrictEqual(on(history, 9), { path: [1, 3] })
  })

  it("follows many keys at once for one who was away, and needs each of the links", () => {
    const links = [rotate(1, 2, byRecovery), rotate(2, 3, { ...byRecovery, sequence: 2 })]

    assert.deepStrictEqual(on(reader(1, [], [enrol(1, R)]), 0), { path: [1] })
    const all = KeyHistory.learn(reader(1, [], [enrol(1, R)]), links.toReversed(), seen(1))
    assert.deepStrictEqual(on(all, 1), { path: [1, 2, 3] })
    const one = KeyHistory.learn(reader(1, [], [enrol(1, R)]), links.slice(1), seen(1))
    assert.deepStrictEqual(on(one, 30), { path: [1] })
  })

  it("begins with a later key under the recovery key that this key has consented to", () => {
    const link = rotate(1, 2, { recovery: R })
    const history = reader(2, [[1, rotate(2, 3, { ...byRecovery, sequence: 2 })]], [link])

    assert.deepStrictEqual(on(history, 1), { path: [2, 3] })
  })

  it("lets a person's decision stand, with its recovery key", () => {
    const forked = reader(
      1,
      [
        [0, rotate(1, 2, { recovery: R })],
        [1, rotate(1, 3, { recovery: R })]
      ],
      [enrol(1, R)]
    )
    const decided = KeyHistory.decided(forked, key(3).publicKey)

    assert.deepStrictEqual(on(decided, 2), { path: [3] })
    const again = KeyHistory.learn(decided, [rotate(1, 2, { recovery: R })], seen(3))
    assert.deepStrictEqual(on(again, 30), { path: [3] })
    const onward = KeyHistory.learn(again, [rotate(3, 4, { ...byRecovery, sequence: 2 })], seen(31))
    assert.deepStrictEqual(on(onward, 31), { path: [3, 4] })
  })

  it("ignores statements about keys it has nothing to do with, and ones nobody signed", () => {
    const begun = reader(1, [])
    const forged = { ...rotate(1, 2), signature: new Uint8Array(64).fill(1) }

    assert.strictEqual(KeyHistory.learn(begun, [rotate(5, 6), enrol(6, R), forged], seen(0)), begun)
  })

  it("keeps room for the recovery key whatever a thief has filled it with", () => {
    const noise = Array.from({ length: 60 }, (_, index) => rotate(1, 3, { recovery: R, unixSeconds: BEGIN + index }))
    const full = KeyHistory.learn(reader(1, [], [enrol(1, R)]), noise, seen(0))

    assert.isBelow(full.learnt.length, KeyHistory.LEARNT_MAX)
    assert.deepStrictEqual(on(KeyHistory.learn(full, [rotate(1, 2, byRecovery)], seen(1)), 1), { path: [1, 2] })
  })

  it("signs what it reads", () => {
    const standing = KeyStanding.at(reader(1, [], [enrol(1, R)]), BEGIN)
    const link = KeySigning.sign(KeySigning.rotation(standing, key(2).publicKey, "recovery", BEGIN), key(R), key(2))
    const successor = KeySigning.sign(KeySigning.enrolment(standing, key(7).publicKey, BEGIN), key(R), key(7))

    assert.deepStrictEqual(link, rotate(1, 2, byRecovery))
    assert.deepStrictEqual(successor, enrol(1, 7, R))
    for (const one of [link, successor]) assert.isTrue(KeyStatement.isGenuine(one, verify))
  })
})

/** Every statement a thief with key 1 (and 3, 4 of its own, and the recovery key T of its own) can make. */
const THIEFS: ReadonlyArray<KeyStatement.KeyStatement> = [
  ...[3, 4].flatMap((next) => [
    rotate(1, next),
    rotate(1, next, { recovery: R }),
    rotate(1, next, { recovery: T }),
    rotate(1, next, { by: "recovery", recovery: T }),
    cancel(1, next),
    cancel(1, next, { recovery: R }),
    cancel(1, next, { by: "recovery", recovery: T })
  ]),
  enrol(1, T),
  cancel(1, 2, { recovery: R })
]

const deeds = Arbitrary.array(Arb.integer(0, THIEFS.length * 10 - 1), { maxLength: 12 })

describe("KeyStanding against a thief who has the key, and not the recovery key", () => {
  it.prop(
    "moves nothing within seven days, and the recovery key wins whenever it speaks",
    { deeds },
    ({ deeds: drawn }) => {
      const story = drawn.map((deed) => [deed % 10, THIEFS[Math.floor(deed / 10)]!] as const)
      const inOrder = story.toSorted(([one], [other]) => one - other)
      const history = reader(1, inOrder, [enrol(1, R)])

      for (const [day] of inOrder) {
        const known = reader(
          1,
          inOrder.filter(([when]) => when <= day),
          [enrol(1, R)]
        )
        const first = Math.min(...inOrder.map(([when]) => when))
        if (day < first + 7) assert.deepStrictEqual(on(known, day).path, [1])
      }
      const owner = KeyHistory.learn(history, [rotate(1, 2, byRecovery)], seen(10))
      assert.deepStrictEqual(on(owner, 10).path, [1, 2])
    }
  )

  it.prop("says the same in whatever order statements of one moment came", { deeds }, ({ deeds: drawn }) => {
    const statements = drawn.map((deed) => THIEFS[Math.floor(deed / 10)]!)
    const chain = [rotate(1, 2, byRecovery), ...statements]
    const [forward, backward] = [chain, chain.toReversed()].map((one) =>
      KeyHistory.learn(reader(1, [], [enrol(1, R)]), one, seen(1))
    )

    for (const day of [1, 5, 8, 9]) assert.deepStrictEqual(on(forward!, day).path, on(backward!, day).path)
  })
})

function seen(day: number): KeyHistory.Seen {
  return { atSeconds: BEGIN + day * DAY, isFirst: false, verify }
}

describe("KeyHistory", () => {
  it("is the same history when there is no news", () => {
    const history = reader(1, [[0, rotate(1, 2)]])

    assert.strictEqual(KeyHistory.learn(history, [rotate(1, 2)], seen(5)), history)
  })

  it("hands on what it knows in the order of making", () => {
    const history = reader(
      1,
      [
        [0, rotate(2, 3, { sequence: 2 })],
        [0, rotate(1, 2)],
        [1, rotate(2, 3, { sequence: 2 })]
      ],
      [enrol(1, R)]
    )

    assert.deepStrictEqual(
      KeyHistory.chain(history).map(({ kind, sequence }) => [kind, sequence]),
      [
        ["enrol", 0],
        ["rotate", 1],
        ["rotate", 2]
      ]
    )
  })
})
