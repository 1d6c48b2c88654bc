/** What `pilotctl policy init` writes: a policy that changes nothing, and shows what could be said. */

/** The file. */
export const EXAMPLE = `// The policy of this node (docs/policy.md). It is read again when it changes; pilotctl policy check looks at it before.
// Without rules, a trusted peer may use what was exposed to it by name, and a stranger nothing.
{
  "version": 1,
  // "nothing": trusted peers may do only what a rule allows.
  "default": "exposed",
  // Who bears a tag. Keys are shown by: pilotctl trust list
  "tags": {
    // "ops": ["key:4HX2-9TQM-…", "name:laptop"]
  },
  "rules": [
    // A denial wins over everything.
    // { "name": "no uploads", "effect": "deny", "who": ["trusted"], "except": ["tag:ops"], "what": ["files/push"] },
    // A named thing for somebody it was not exposed to, until a day.
    // { "name": "audit", "effect": "allow", "who": ["name:auditor"], "what": ["files/pull/reports"],
    //   "until": "2027-01-01T00:00:00Z" },
    // What is allowed anyway, but not as much, and only in the hours of work.
    // { "name": "slow", "effect": "limit", "who": ["trusted"], "what": ["mcp/search/*"],
    //   "limit": { "requestsPerMinute": 30, "concurrent": 2 },
    //   "hours": { "from": "08:00", "to": "18:00", "days": ["mon", "tue", "wed", "thu", "fri"], "utcOffset": "+01:00" } }
  ],
  // "refuse": nothing is allowed that could not be recorded.
  "audit": { "onFailure": "continue" }
}
`
