// The page's behaviour: one websocket, pictures drawn on a canvas, everything else plain DOM.
'use strict';

const find = (id) => document.getElementById(id);
const HISTORY = 120; // points of a plot, one a second
const OPEN_GROUPS = ['masks', 'vote'];
const plots = {rate: [], latency: [], drops: []};
let socket = null;
let shown = null; // header of the picture on the canvas
let state = '';
let lastDropped = null;
let sought = ''; // what the node looks for

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
}

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  socket = new WebSocket(`${scheme}://${location.host}/live`);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    const mode = document.querySelector('[data-mode][aria-selected=true]').dataset.mode;
    send({do: 'show', mode});
  };
  socket.onmessage = (event) => {
    if (typeof event.data !== 'string') receivePicture(event.data);
    else receive(JSON.parse(event.data));
  };
  socket.onclose = () => {
    showState('viewer ended', 'absent');
    setTimeout(connect, 1500);
  };
}

function receive(message) {
  if (message.type === 'status') showStatus(message);
  else if (message.type === 'parameters') showParameters(message.list);
  else if (message.type === 'pixel') showPixel(message);
  else if (message.type === 'sought') showSought(message.text);
  else if (message.type === 'answer') showAnswer(message);
  else if (message.type === 'error') notify(message.text, false);
}

// Pictures

async function receivePicture(buffer) {
  const size = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  try {
    const blob = new Blob([new Uint8Array(buffer, 4 + size)], {type: 'image/jpeg'});
    draw(await createImageBitmap(blob), header);
  } finally {
    // The next picture is asked for when this one is on the screen: a slow phone is not flooded.
    if (!find('freeze').checked) requestAnimationFrame(() => send({do: 'drawn'}));
  }
}

find('freeze').addEventListener('change', () => {
  if (!find('freeze').checked) send({do: 'drawn'});
});

function draw(bitmap, header) {
  const canvas = find('picture');
  if (canvas.width !== header.width || canvas.height !== header.height) {
    canvas.width = header.width;
    canvas.height = header.height;
  }
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.dataset.stamp = header.stamp;
  canvas.dataset.mode = header.mode;
  shown = header;
  find('waiting').style.display = 'none';
  showLegend(header.legend);
  showFound(header.found);
}

function showLegend(legend) {
  find('legend').replaceChildren(...legend.map((entry) => {
    const colour = `rgb(${entry.colour.join(',')})`;
    const chip = make('i');
    chip.style.background = colour;
    const bar = make('span', {className: 'bar'});
    bar.style.background = colour;
    bar.style.width = `${Math.max(0.5, 100 * entry.share)}%`;
    const share = `${(100 * entry.share).toFixed(entry.share < 0.1 ? 1 : 0)} %`;
    const item = make('li', {title: `id ${entry.id}`}, chip, make('span', {textContent: entry.name}),
      make('span', {textContent: share}), bar);
    item.dataset.name = entry.name;
    return item;
  }));
}

find('picture').addEventListener('click', (event) => {
  if (!shown) return;
  const box = event.target.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * shown.width);
  const y = Math.floor((event.clientY - box.top) / box.height * shown.height);
  send({do: 'pixel', stamp: shown.stamp, x, y});
});

function showPixel(found) {
  const percent = (value) => `${Math.round(100 * value)} %`;
  const parts = [make('b', {textContent: found.name}),
    ` (id ${found.id}), confidence ${percent(found.confidence)}, pixel ${found.x}, ${found.y}. `];
  if (found.mask) {
    const ranked = found.hypotheses.map(([name, score]) => `${name} ${percent(score)}`).join(', ');
    parts.push(`Mask ${found.mask}: ${ranked || 'without a name'}.`);
  } else {
    parts.push('In no mask.');
  }
  find('pixel').replaceChildren(...parts);
  const svg = find('outline');
  svg.setAttribute('viewBox', `0 0 ${shown.width} ${shown.height}`);
  const path = found.outline
    .map((points) => `M${points.map(([x, y]) => `${x + .5} ${y + .5}`).join('L')}Z`).join('');
  svg.replaceChildren(shape('path', {d: path}), shape('circle',
    {cx: found.x + .5, cy: found.y + .5, r: Math.max(shown.width, shown.height) / 160}));
  clearTimeout(showPixel.timer);
  showPixel.timer = setTimeout(() => svg.replaceChildren(), find('freeze').checked ? 60000 : 2500);
}

function shape(tag, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function choose(mode) {
  document.querySelectorAll('[data-mode]').forEach((button) => {
    button.setAttribute('aria-selected', String(button.dataset.mode === mode));
  });
  send({do: 'show', mode});
}

document.querySelectorAll('[data-mode]').forEach((button) => {
  button.addEventListener('click', () => choose(button.dataset.mode));
});

// Search

function search(text) {
  send({do: 'find', value: text});
  choose(text ? 'found' : 'overlay');
}

find('search').addEventListener('submit', (event) => {
  event.preventDefault();
  search(find('sought').value.trim());
});
find('forget').addEventListener('click', () => {
  find('sought').value = '';
  search('');
});

function showSought(text) {
  sought = text;
  if (text && find('sought') !== document.activeElement) find('sought').value = text;
  find('found').textContent = text ? `Looking for ${text} ...` : '';
}

function showFound(found) {
  if (!sought) return;
  const percent = (value) => `${Math.round(100 * value)} %`;
  if (!found) {
    find('found').textContent = 'No answer yet. The first may take some seconds. If none comes: '
      + 'do images arrive, and does the message above say what is wrong?';
  } else if (!found.count) {
    find('found').textContent = `Nothing here is ${sought} (likeliest mask: ${percent(found.best)}).`;
  } else {
    const masks = found.first.map(([id, name, score]) => `${name} ${percent(score)} (mask ${id})`);
    const more = found.count > masks.length ? `, and ${found.count - masks.length} more` : '';
    find('found').textContent = masks.join(', ') + more;
  }
}

// State, figures

function showStatus(status) {
  find('node').textContent = status.node || '';
  state = status.present === false ? '' : status.state || '';
  if (status.present === false) showState('not running', 'absent');
  else showState(state || 'no answer yet', state);
  const message = find('message');
  message.textContent = status.present === false
    ? `No node ${status.node}. Start it, or give its name: view --node NAME.` : status.message || '';
  message.className = status.level ? 'warn' : '';
  const values = status.values || {};
  if (status.values) showFigures(values);
  find('diagnostics').replaceChildren(...Object.entries(values).map(([key, value]) =>
    make('tr', {}, make('td', {textContent: key}), make('td', {textContent: value}))));
}

function showState(text, kind) {
  find('state').textContent = text;
  find('state').className = `badge ${kind}`;
  find('start').disabled = !['unconfigured', 'inactive'].includes(kind);
  find('stop').disabled = kind !== 'active';
  find('unload').disabled = kind !== 'inactive';
}

function showFigures(values) {
  const rate = Number(values.rate_hz), latency = Number(values.age_ms);
  const dropped = Number(values.frames_dropped);
  if (!Number.isFinite(rate) || values.rate_hz === undefined) return;
  const signature = JSON.stringify(values);
  if (signature === showFigures.last) return;
  showFigures.last = signature;
  add('rate', rate, `${rate.toFixed(1)} Hz`);
  if (values.age_ms) add('latency', latency, `${latency.toFixed(0)} ms`);
  const since = lastDropped === null ? 0 : Math.max(0, dropped - lastDropped);
  lastDropped = dropped;
  add('drops', since, `${since} (${dropped} of ${values.frames_received} in all)`);
}

function add(name, value, text) {
  const values = plots[name];
  values.push(value);
  if (values.length > HISTORY) values.shift();
  const top = Math.max(...values, 1e-9) * 1.1;
  const points = values.map((v, i) =>
    `${(i / (HISTORY - 1) * 300).toFixed(1)},${(58 - 54 * v / top).toFixed(1)}`).join(' ');
  const svg = shape('svg', {viewBox: '0 0 300 60', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${name} over the last two minutes`});
  svg.append(shape('line', {x1: 0, x2: 300, y1: 59, y2: 59, class: 'base'}),
    shape('polyline', {points}));
  const peak = Math.max(...values);
  find(name).replaceChildren(make('p', {}, make('b', {textContent: text}),
    make('span', {textContent: `peak ${peak.toFixed(peak < 10 ? 1 : 0)}`})), svg);
}

const transition = (name) => send({do: 'transition', name});
find('start').addEventListener('click', () => { transition('start'); busy('starting ...'); });
find('stop').addEventListener('click', () => { transition('deactivate'); busy('stopping ...'); });
find('unload').addEventListener('click', () => { transition('cleanup'); busy('unloading ...'); });
function busy(text) { showState(text, ''); }

// Parameters

function showParameters(list) {
  const vocabulary = list.find((p) => p.name === 'vocabulary');
  if (vocabulary && !find('names').dataset.edited) find('names').value = vocabulary.value;
  for (const [place, live] of [['live', true], ['loaded', false]]) {
    for (const parameter of list.filter((p) => p.live === live && p.name !== 'vocabulary')) {
      const input = document.querySelector(`[data-parameter="${parameter.name}"]`);
      if (!input) group(place, parameter.name).append(editor(parameter));
      else if (input !== document.activeElement) show(input, parameter.value);
    }
  }
}

// The settings of one part of the node stand together; what most people change is open.
function group(place, name) {
  const title = name.includes('.') ? name.split('.')[0] : 'node';
  const id = `${place} ${title}`;
  if (!find(id)) {
    const open = place === 'loaded' || OPEN_GROUPS.includes(title);
    find(place).append(make('details', {className: 'group', open},
      make('summary', {textContent: title}), make('div', {id, className: 'grid'})));
  }
  return find(id);
}

function show(input, value) {
  if (input.type === 'checkbox') input.checked = value;
  else input.value = value;
}

function editor(parameter) {
  const input = widget(parameter);
  input.id = `parameter ${parameter.name}`;
  input.dataset.parameter = parameter.name;
  input.addEventListener('change', () => {
    const value = read(input, parameter.kind);
    if (value === null) notify(`${parameter.name} must be a number`, false);
    else send({do: 'set', name: parameter.name, value});
  });
  const limits = parameter.minimum === null ? '' : ` (${parameter.minimum} to ${parameter.maximum})`;
  return make('div', {className: 'setting'},
    make('label', {htmlFor: input.id, textContent: parameter.name}), input,
    make('p', {textContent: parameter.help + limits}));
}

function widget(parameter) {
  if (parameter.kind === 'bool') return make('input', {type: 'checkbox', checked: parameter.value});
  if (parameter.choices.length) {
    const options = parameter.choices.map((c) => make('option', {value: c, textContent: c}));
    const select = make('select', {}, ...options);
    select.value = parameter.value;
    return select;
  }
  const number = parameter.kind !== 'str';
  const input = make('input', {type: number ? 'number' : 'text', value: parameter.value});
  if (number) input.step = parameter.kind === 'int' ? '1' : 'any';
  return input;
}

function read(input, kind) {
  if (kind === 'bool') return input.checked;
  if (kind === 'str') return input.value;
  const number = Number(input.value);
  if (input.value === '' || !Number.isFinite(number)) return null;
  return kind === 'int' ? Math.round(number) : number;
}

// What was typed stays until the node has it, also if it refused.
find('names').addEventListener('input', () => { find('names').dataset.edited = 'yes'; });
find('vocabulary').addEventListener('submit', (event) => {
  event.preventDefault();
  send({do: 'set', name: 'vocabulary', value: find('names').value.trim()});
});

// Answers

function showAnswer({asked, ok, reason}) {
  if (asked.do === 'pixel') {
    find('pixel').textContent = reason;
    return;
  }
  if (asked.do === 'transition' || asked.do === 'find') {
    if (!ok) notify(reason, false);
    return;
  }
  if (ok && asked.name === 'vocabulary') delete find('names').dataset.edited;
  const what = `${asked.name} = ${JSON.stringify(asked.value)}`;
  const box = notify(ok ? `The node accepted ${what}.` : `The node refused ${what}: ${reason}`, ok);
  if (ok || asked.do !== 'set' || !needsRestart(asked.name)) return;
  const restart = make('button', {type: 'button', textContent: 'Restart the node with it'});
  restart.addEventListener('click', () => {
    send({do: 'restart_with', name: asked.name, value: asked.value});
    busy('restarting ...');
    box.remove();
  });
  box.append(make('br'), restart);
}

// What takes effect at configure only; the names of a closed set are refused for the same reason.
function needsRestart(name) {
  const loaded = ['active', 'inactive'].includes(state);
  return loaded && (name === 'vocabulary' || find('loaded').querySelector(`[data-parameter="${name}"]`));
}

function notify(text, ok) {
  const box = make('div', {className: ok ? 'good' : 'bad'}, make('span', {textContent: text}));
  const close = make('button', {type: 'button', textContent: 'Close'});
  close.addEventListener('click', () => box.remove());
  if (!ok) box.append(make('br'), close);
  const answers = find('answers');
  answers.append(box);
  while (answers.children.length > 3) answers.firstChild.remove();
  setTimeout(() => box.remove(), ok ? 4000 : 20000);
  return box;
}

connect();
