// Passkeys are the one thing that pages cannot do without a script.
"use strict";

// post asks the server; an answer of another status is thrown with what it says.
async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.error), { field: value.field });
  return value;
}

async function signIn(form) {
  const begun = await post("/signin/passkey/begin", {});
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(begun.publicKey);
  const answer = await navigator.credentials.get({ publicKey: options });
  return post("/signin/passkey", { next: form.elements.next.value, answer: answer.toJSON() });
}

async function add(form) {
  const begun = await post("/account/passkeys/begin", {});
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(begun.publicKey);
  const answer = await navigator.credentials.create({ publicKey: options });
  return post("/account/passkeys", { name: form.elements.name.value, answer: answer.toJSON() });
}

for (const [id, ceremony] of [["passkey-sign-in", signIn], ["passkey-add", add]]) {
  const form = document.getElementById(id);
  if (!form || !window.PublicKeyCredential?.parseRequestOptionsFromJSON) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const told = form.querySelector("[role=alert]");
    button.disabled = true;
    told.textContent = "";
    try {
      location.assign((await ceremony(form)).next);
    } catch (error) {
      if (error.field === "session") location.assign("/account/confirm");
      told.textContent = error.name === "NotAllowedError" ? "That was cancelled, or took too long." : error.message;
      button.disabled = false;
    }
  });
}
