// The door: takes the token once, then the page itself is shown.

const form = document.getElementById("door");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = document.getElementById("token").value.trim();
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "x-impasto-token": token },
  });
  if (answer.ok) location.reload();
  else document.getElementById("wrong").textContent = "That is not it. · 口令不对。";
});
