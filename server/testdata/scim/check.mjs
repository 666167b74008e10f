// Compares what Latchward makes of SCIM with what three libraries make of it that know nothing of it: scimmy (schemas,
// resources, filters), scim2-parse-filter (filters) and scim-patch (PATCH). Needs SCIM_URL and SCIM_TOKEN; prints how
// many comparisons it made, and ends with status 1 after any difference.
import assert from "node:assert/strict";
import SCIMMY from "scimmy";
import parsing from "scim2-parse-filter";
import patching from "scim-patch";

const base = process.env.SCIM_URL, token = process.env.SCIM_TOKEN;
const urn = {
  user: "urn:ietf:params:scim:schemas:core:2.0:User",
  group: "urn:ietf:params:scim:schemas:core:2.0:Group",
  patch: "urn:ietf:params:scim:api:messages:2.0:PatchOp",
};
let made = 0;
const differences = [];

function same(got, want, what) {
  made++;
  try {
    assert.deepStrictEqual(got, want);
  } catch {
    differences.push(`${what}\n  latchward: ${JSON.stringify(got)}\n  others:    ${JSON.stringify(want)}`);
  }
}

async function ask(method, path, body) {
  const answer = await fetch(base + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/scim+json", Accept: "application/scim+json" },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: text && JSON.parse(text) };
}

async function must(status, method, path, body) {
  const answer = await ask(method, path, body);
  if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

// Mulberry32, so that a failure can be seen again.
const seed = Number(process.env.SEED || 1);
let state = seed;
function random(n) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[random(list.length)];

// What our schemas say of an attribute is what RFC 7643 says, as scimmy has copied it.
async function schemas() {
  for (const [kind, id] of [["User", urn.user], ["Group", urn.group]]) {
    const ours = await must(200, "GET", `/Schemas/${id}`);
    const theirs = JSON.parse(JSON.stringify(SCIMMY.Schemas[kind].definition.describe()));
    const compare = (a, list, at) => {
      const b = list.find((other) => other.name === a.name);
      for (const member of ["type", "multiValued", "mutability"]) {
        same(a[member], b && b[member], `${at}${a.name}.${member}`);
      }
      for (const sub of a.subAttributes || []) compare(sub, b.subAttributes, `${at}${a.name}.`);
    };
    for (const a of ours.attributes) compare(a, theirs.attributes, `${kind}.`);
  }
  new SCIMMY.Schemas.ServiceProviderConfig(await must(200, "GET", "/ServiceProviderConfig"));
  for (const type of (await must(200, "GET", "/ResourceTypes")).Resources) new SCIMMY.Schemas.ResourceType(type);
}

// Users as scimmy writes them come back as scimmy reads them.
const words = ["ada", "bob", "cy", "dee"];
async function resources() {
  for (let i = 0; i < 24; i++) {
    const sent = JSON.parse(JSON.stringify(new SCIMMY.Schemas.User({
      schemas: [urn.user], userName: `${pick(words)}${i}@example.com`, active: random(3) > 0,
      ...(random(2) ? { externalId: `id-${pick(words)}-${i}` } : {}),
      ...(random(2) ? { displayName: `${pick(words)} ${pick(words)}` } : {}),
      ...(random(2) ? { name: { givenName: pick(words), familyName: pick(words) } } : {}),
      ...(random(2) ? { emails: [{ value: `${pick(words)}.${i}@mail.example`, type: "work", primary: true }] } : {}),
    }, "in")));
    const back = await must(201, "POST", "/Users", sent);
    const read = JSON.parse(JSON.stringify(new SCIMMY.Schemas.User(back, "both")));
    for (const member of ["userName", "active", "externalId", "emails", "displayName"]) {
      if (member === "displayName" && sent[member] === undefined) continue; // made of the parts
      same(read[member], sent[member], `user ${i}: ${member}`);
    }
    for (const part of ["givenName", "familyName"]) same(read.name?.[part], sent.name?.[part], `user ${i}: name.${part}`);
  }
  const users = (await must(200, "GET", "/Users?count=1000")).Resources;
  for (let i = 0; i < 4; i++) {
    const group = await must(201, "POST", "/Groups", JSON.parse(JSON.stringify(new SCIMMY.Schemas.Group({
      schemas: [urn.group], displayName: `group ${i}`, members: users.filter((_, n) => n % (i + 2) === 0).map((u) => ({ value: u.id })),
    }, "in"))));
    new SCIMMY.Schemas.Group(group, "both");
  }
}

// A random filter over users, in lower case, because one of the libraries knows no other.
function filter(depth) {
  switch (random(depth > 0 ? 6 : 3)) {
    case 3: return `${filter(depth - 1)} and ${filter(depth - 1)}`;
    case 4: return `(${filter(depth - 1)} or ${filter(depth - 1)})`;
    case 5: return `not (${filter(depth - 1)})`;
    case 2: return pick([
      `emails[type eq "work" and value co "${pick(words)}"]`, `emails[primary eq true]`, `active eq ${pick(["true", "false"])}`,
      `groups[value eq "${2 + random(4)}"]`, `meta.created gt "2020-01-01T00:00:00Z"`,
    ]);
  }
  const at = pick(["userName", "externalId", "displayName", "name.givenName", "name.familyName", "emails.value"]);
  const op = pick(["eq", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"]);
  return op === "pr" ? `${at} pr` : `${at} ${op} "${pick([...words, pick(words) + random(24) + "@example.com", "a", "b", "example.com"])}"`;
}

async function filters() {
  const users = (await must(200, "GET", "/Users?count=1000")).Resources;
  for (let i = 0; i < 400; i++) {
    const text = filter(3);
    const found = (await must(200, "GET", `/Users?count=1000&attributes=id&filter=${encodeURIComponent(text)}`)).Resources.map((u) => u.id);
    same(found, users.filter(parsing.filter(parsing.parse(text))).map((u) => u.id), `scim2-parse-filter, seed ${seed}: ${text}`);
    if (!/not|\(|\[|\./.test(text.replace(/"[^"]*"/g, ""))) { // it fails on parts of what is not there; and a text that is not there is "undefined" to it
      same(found, new SCIMMY.Types.Filter(text).match(users).map((u) => u.id), `scimmy, seed ${seed}: ${text}`);
    }
  }
}

// Operations that both sides take, and after them what both sides keep.
const changes = [
  [{ op: "replace", path: "displayName", value: "New Name" }],
  [{ op: "Replace", path: "active", value: false }, { op: "replace", path: "active", value: true }],
  [{ op: "replace", value: { active: false, externalId: "changed" } }],
  [{ op: "add", path: "name.givenName", value: "Given" }],
  [{ op: "replace", path: "name.familyName", value: "Family" }],
  [{ op: "replace", path: 'emails[type eq "work"].value', value: "other@example.com" }],
  [{ op: "replace", path: 'emails[type eq "work" and primary eq true].value', value: "both@example.com" }],
  [{ op: "replace", path: "emails", value: [{ value: "list@example.com", type: "work", primary: true }] }],
  [{ op: "remove", path: 'emails[type eq "work"]' }],
  [{ op: "remove", path: 'emails[type eq "home"]' }],
  [{ op: "remove", path: "externalId" }],
  [{ op: "remove", path: "name.givenName" }, { op: "add", path: "name.givenName", value: "Again" }],
  [{ op: "add", path: "name", value: { familyName: "Merged" } }],
  [{ op: "replace", path: `${urn.user}:displayName`, value: "With URN" }],
];

const kept = (u) => ({
  userName: u.userName, externalId: u.externalId, active: u.active, givenName: u.name?.givenName, familyName: u.name?.familyName,
  emails: (u.emails || []).map((e) => e.value),
});

async function patches() {
  for (const [i, operations] of changes.entries()) {
    const before = await must(201, "POST", "/Users", {
      schemas: [urn.user], userName: `patched-${i}`, externalId: `patched-${i}`, displayName: "Ada L", active: true,
      name: { givenName: "Ada", familyName: "Lovelace" }, emails: [{ value: `patched-${i}@example.com`, type: "work", primary: true }],
    });
    const body = { schemas: [urn.patch], Operations: operations };
    patching.patchBodyValidation(body);
    new SCIMMY.Messages.PatchOp(JSON.parse(JSON.stringify(body)));
    const after = await must(200, "PATCH", `/Users/${before.id}`, body);
    const want = patching.scimPatch(JSON.parse(JSON.stringify(before)), JSON.parse(JSON.stringify(operations)));
    same(kept(after), kept(want), `PATCH ${JSON.stringify(operations)}`);
    same(await must(200, "GET", `/Users/${before.id}`), after, `GET after PATCH ${i}`);
    await must(204, "DELETE", `/Users/${before.id}`);
  }
}

await schemas();
await resources();
await filters();
await patches();
for (const d of differences.slice(0, 20)) console.error(d);
console.log(`${made} comparisons, ${differences.length} differences`);
process.exit(differences.length > 0 ? 1 : 0);
