// Adds comfort to pages that work without it: dates in the reader's zone, live parts, selection, keys.
// Nothing here acts: it moves the focus, marks rows and asks the server for the page again.
'use strict';

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const FIELDS = 'input:not([type=checkbox]):not([type=radio]):not([type=hidden]):not([type=submit]), textarea, select';

  // ---- Dates: relative in the text, exact and in the reader's zone on hover ----

  const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
  // Times are by the clock of Redis. That of this machine may be wrong: then it is corrected.
  const difference = Number(document.body.dataset.now) - Date.now();
  const ahead = Math.abs(difference) > 60000 ? difference : 0;

  // As span() in worker/words.py.
  function span(seconds) {
    const minutes = Math.round(seconds / 60), hours = Math.round(seconds / 3600);
    const pair = (first, unit, second, lesser) => `${first} ${unit}` + (second ? ` ${second} ${lesser}` : '');
    if (seconds < 60) return `${seconds} s`;
    if (minutes < 60) return `${minutes} min`;
    if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
    if (hours < 2 * 24) return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
    return `${Math.round(seconds / 86400)} d`;
  }

  function relative(at) {
    const seconds = Math.round((Date.now() + ahead - at) / 1000);
    if (!seconds) return 'just now';
    return seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
  }

  function showTimes(root = document) {
    for (const time of all('time[datetime]', root)) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      const isExact = time.hasAttribute('data-exact');
      time.textContent = isExact ? exact.format(at) : relative(at);
      time.title = isExact ? `${relative(at)}, ${new Date(at).toISOString()}` : exact.format(at);
    }
  }

  // ---- Live parts: elements with data-every, in seconds, whose htmx request is triggered by `refresh` ----

  const ENDED = 'Your session has ended: reload the page to sign in again.';
  const asked = new WeakMap();
  let failures = 0;

  const isTyped = (field) =>
    field.type === 'checkbox' || field.type === 'radio' ? field.checked !== field.defaultChecked
      : field.options ? [...field.options].some((option) => option.selected !== option.defaultSelected)
        && field.selectedIndex > 0
      : field.value !== field.defaultValue;

  // A part is left as it is while its reader works in it: a new one would lose what was typed, opened or marked.
  function isInUse(part) {
    const marked = document.getSelection();
    return part.contains(document.activeElement) && document.activeElement.matches(FIELDS)
      || all('input, textarea, select', part).some(isTyped)
      || all('details[open]', part).some((box) => box.querySelector('form'))
      || !marked.isCollapsed && part.contains(marked.anchorNode);
  }

  function say(text, isWrong = false) {
    for (const place of all('[data-live-state]')) {
      if (place.textContent !== text) place.textContent = text;
      place.classList.toggle('wrong', isWrong);
    }
  }

  function refresh() {
    for (const part of all('[data-every]')) {
      const now = Date.now();
      if (!asked.has(part)) asked.set(part, now);
      const wait = Math.min(part.dataset.every * 1000 * 2 ** failures, 30000);
      if (document.hidden || now - asked.get(part) < wait) continue;
      if (isInUse(part)) {
        say('Not updated while you work in it');
        continue;
      }
      asked.set(part, now);
      window.htmx.trigger(part, 'refresh');
    }
  }

  const updated = () => {
    failures = 0;
    const part = document.querySelector('[data-every]');
    say(part ? `Updated every ${part.dataset.every} s` : 'Ended: no further updates');
  };
  const failed = () => {
    failures += 1;
    say('The server does not answer. What you see may be old; trying again.', true);
  };

  // A redirect, such as to the sign-in page, is another page: it never replaces a part.
  // What its reader had opened, and the row that the keys are at, are the same in the new part.
  let opened = [];
  let row = '';
  function check(event) {
    const { xhr, target } = event.detail;
    if (!target.hasAttribute('data-every')) return;
    if (isInUse(target)) { // since it was asked for
      event.detail.shouldSwap = false;
      say('Not updated while you work in it');
      return;
    }
    opened = all('details[open][id]', target).map((box) => box.id);
    row = target.contains(current()) ? current().id : '';
    const asked = new URL(target.getAttribute('hx-get'), location.href);
    if (xhr.status >= 400 || new URL(xhr.responseURL || asked, location.href).pathname === asked.pathname) return;
    event.detail.shouldSwap = false;
    target.removeAttribute('data-every');
    say(ENDED, true);
  }

  // At the end of a session, the server asks htmx to go to the sign-in page: that would lose what is typed elsewhere.
  function refused(event) {
    const { xhr, target } = event.detail;
    if (xhr.status < 400 || xhr.status >= 500) return;
    event.preventDefault();
    target.removeAttribute('data-every');
    say(xhr.status === 401 ? ENDED : 'This page is not there any more.', true);
  }

  // ---- Selection: boxes of a form (data-select), one for all (data-select-all), a count, a range with Shift ----

  const boxes = (form, name) => [...form.elements].filter((field) => field.hasAttribute(name));
  let lastBox = null;

  function countSelected(form) {
    const found = boxes(form, 'data-select');
    if (!found.length) return;
    const selected = found.filter((box) => box.checked).length;
    for (const place of all('[data-count]', form)) place.textContent = `${selected.toLocaleString('en')} selected`;
    for (const box of boxes(form, 'data-select-all')) {
      box.checked = selected === found.length;
      box.indeterminate = selected > 0 && selected < found.length;
    }
    for (const box of found) box.closest('[data-row]')?.classList.toggle('selected', box.checked);
  }

  function select(event) {
    const box = event.target;
    if (!box.form || box.type !== 'checkbox') return;
    const found = boxes(box.form, 'data-select');
    if (box.hasAttribute('data-select-all')) {
      found.forEach((each) => { each.checked = box.checked; });
    } else if (box.hasAttribute('data-select')) {
      const [from, to] = [found.indexOf(lastBox), found.indexOf(box)].sort((a, b) => a - b);
      if (event.shiftKey && from >= 0) found.slice(from, to + 1).forEach((each) => { each.checked = box.checked; });
      lastBox = box;
    }
    countSelected(box.form);
  }

  // ---- Keys ----

  const OFF = 'nightly-keys-off';
  const rows = () => all('[data-row]');
  const current = () => document.querySelector('[data-row].current');

  function mark(row) {
    if (row === current()) return;
    current()?.classList.remove('current');
    row?.classList.add('current');
  }

  function goTo(row) {
    if (!row) return;
    mark(row);
    row.tabIndex = -1; // a row without a link takes the focus itself
    (row.querySelector('a[data-open]') || row.querySelector('a[href]') || row).focus({ preventScroll: true });
    row.scrollIntoView({ block: 'nearest' });
  }

  function move(step) {
    const found = rows();
    const place = found.indexOf(current());
    goTo(found[place < 0 ? 0 : Math.min(Math.max(place + step, 0), found.length - 1)]);
  }

  // Opens the box of the button, too. A person presses it.
  function goToReplay() {
    const button = current()?.querySelector('[data-key="r"]') || document.querySelector('[data-key="r"]');
    if (!button) return;
    const box = button.closest('details');
    if (box) box.open = true;
    button.focus();
  }

  function search() {
    const field = document.querySelector('[data-search]');
    if (field) field.focus();
    else location.assign('/letters#search');
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => current()?.querySelector('input[data-select]')?.click(),
    r: goToReplay,
    '/': search,
    '?': () => document.getElementById('keys')?.showModal(),
  };

  function press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const at = event.target;
    if (at.isContentEditable || at.matches?.(FIELDS) || document.querySelector('dialog[open]')) return;
    const action = KEYS[event.key];
    if (!action || event.key !== '?' && localStorage.getItem(OFF)) return;
    event.preventDefault();
    action();
  }

  // A second press of a button, while the first one is answered, would only be refused as out of date.
  function sendOnce(event) {
    const form = event.target;
    if (form.method !== 'post' || event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = '1';
    setTimeout(() => delete form.dataset.sent, 10000);
  }

  // ---- Start ----

  document.documentElement.classList.add('js');
  document.addEventListener('keydown', press);
  document.addEventListener('submit', sendOnce);
  window.addEventListener('pageshow', () => all('form').forEach((form) => delete form.dataset.sent));
  document.addEventListener('click', select);
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('[data-open-keys]')) KEYS['?']();
  });
  document.addEventListener('focusin', (event) => {
    const row = event.target.closest?.('[data-row]');
    if (row) mark(row);
  });
  document.body.addEventListener('htmx:beforeSwap', check);
  document.body.addEventListener('htmx:sendError', failed);
  document.body.addEventListener('htmx:timeout', failed);
  document.body.addEventListener('htmx:responseError', failed);
  document.body.addEventListener('htmx:beforeOnLoad', refused);
  document.body.addEventListener('htmx:afterSettle', () => {
    opened.splice(0).forEach((id) => document.getElementById(id)?.setAttribute('open', ''));
    const again = row ? document.getElementById(row) : null;
    if (again) mark(again);
    if (document.activeElement === document.body) again?.querySelector('a[href]')?.focus({ preventScroll: true });
    showTimes();
    updated();
  });
  const use = document.getElementById('keys-in-use');
  if (use) {
    use.checked = !localStorage.getItem(OFF);
    use.addEventListener('change', () => localStorage.setItem(OFF, use.checked ? '' : '1'));
  }
  for (const part of all('[data-every]')) say(`Updated every ${part.dataset.every} s`);
  all('form').forEach(countSelected);
  showTimes();
  setInterval(showTimes, 30000);
  if (window.htmx) setInterval(refresh, 1000);
})();
