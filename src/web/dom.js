// Small helpers to build and find elements. Text becomes text nodes: nothing here, or anywhere in the page, parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** Makes an element. `props`: class, dataset, on (listeners), or attributes; null, undefined and false are left out. */
export function h(tag, props = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === null || value === undefined || value === false) continue;
		if (name === 'class') node.className = value;
		else if (name === 'dataset') Object.assign(node.dataset, value);
		else if (name === 'on') for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
		else node.setAttribute(name, value === true ? '' : value);
	}
	node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
	return node;
}

/** An icon of the sprite in index.html. */
export function icon(name) {
	const svg = document.createElementNS(SVG, 'svg');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	const use = document.createElementNS(SVG, 'use');
	use.setAttribute('href', `#icon-${name}`);
	svg.append(use);
	return svg;
}

/** A button that shows only an icon; the label is for ears and for the tooltip. */
export function iconButton(name, label, onClick, extra = '') {
	return h('button', {
		type: 'button', class: `icon-button ${extra}`.trim(), 'aria-label': label, title: label, on: { click: onClick },
	}, icon(name));
}

export function byId(id) {
	return document.getElementById(id);
}

/** Says something to screen readers, politely. */
export function announce(text) {
	const live = byId('live');
	if (live.textContent === text) live.textContent = '';
	live.textContent = text;
}

/** Is this a device where a finger is the pointer (and focus opens a keyboard)? */
export function isTouch() {
	return matchMedia('(pointer: coarse)').matches;
}

export function isNarrow() {
	return matchMedia('(max-width: 767px)').matches;
}
