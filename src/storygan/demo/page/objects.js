// The chips and the floor: send what the visitor does as an event, and keep the focus when they are rendered again.
const send = (action) => trigger('select', action);
const plan = (event) => {
    const svg = element.querySelector('svg');
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
};
const place = (object) => {
    const { e, f } = object.transform.baseVal.consolidate().matrix;
    return [e, f];
};
const move = (object, u, v) => object.setAttribute('transform', `translate(${u} ${v})`);
const sendMove = (object) => {
    const [u, v] = place(object);
    send({ line: Number(object.dataset.line), u, v });
};
const steps = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
let held = null, moved = false, timer = 0, focused = '';

element.addEventListener('change', (event) => {
    const { name, value, dataset } = event.target;
    if (dataset.line) send({ line: Number(dataset.line), attribute: name, value });
});
element.addEventListener('click', (event) => {
    const { add, remove } = event.target.dataset;
    if (remove) send({ line: Number(remove), remove: true });
    else if (add) send({ suggest: true });
    else if (event.target.closest('svg') && !event.target.closest('.object')) {
        const [u, v] = plan(event);
        send({ u, v });
    }
});
element.addEventListener('pointerdown', (event) => {
    held = event.target.closest('.object');
    moved = false;
});
window.addEventListener('pointermove', (event) => {
    if (!held) return;
    moved = true;
    move(held, ...plan(event));
});
window.addEventListener('pointerup', () => {
    if (held && moved) sendMove(held);
    held = null;
});
element.addEventListener('keydown', (event) => {
    const object = event.target.closest('.object'), step = steps[event.key];
    if (!object || !step) return;
    event.preventDefault();
    const [u, v] = place(object);
    move(object, u + step[0], v + step[1]);
    clearTimeout(timer);
    timer = setTimeout(() => sendMove(object), 400);
});
document.addEventListener('focusin', (event) => {
    focused = element.contains(event.target) ? event.target.dataset.key : '';
});
watch('value', () => {
    if (focused) element.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
});
