"""What a graph computes without need, taken out: its answers stay the same.

Written for onnxruntime 1.32 on a CPU, in operators of the ONNX standard alone. Each shortcut leaves alone what does not
look as it expects.
"""

from collections.abc import Sequence

from onnxscript import ir

HEADS_FIRST = (0, 2, 1, 3)  # (B, L, heads, D) → (B, heads, L, D), and back
# What computes each token by itself: `first_tokens_only` goes through it.
BY_TOKEN = {"Add", "Sum", "Sub", "Mul", "Div", "Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "LayerNormalization"}


def take_shortcuts(model: ir.Model) -> None:
    """Changes `model` to a faster one with the same answers."""
    rotate_each_row(model.graph)
    keep_heads_together(model.graph)
    first_tokens_only(model.graph)
    add_before_norms(model.graph)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    masks_only_with_padding(model.graph)
    ir.passes.common.TopologicalSortPass()(model)


def rotate_each_row(graph: ir.Graph) -> None:
    """Sines and cosines of positions are given for each row: onnxruntime does not take (1, L, D) for all of them."""
    for node in _nodes(graph, "RotaryEmbedding"):
        rows = _insert(node, "Shape", [node.inputs[0]], {"start": 0, "end": 1})
        ones = _insert(node, "Constant", [], {"value_ints": [1, 1]})
        shape = _insert(node, "Concat", [rows, ones], {"axis": 0})
        for place in (1, 2):
            node.replace_input_with(place, _insert(node, "Expand", [node.inputs[place], shape], {}))


def keep_heads_together(graph: ir.Graph) -> None:
    """Attention reads and writes (B, L, heads * D): heads are moved to the front inside of it, and not in memory."""
    for node in _nodes(graph, "Attention"):
        merged = [_before_heads(value) for value in node.inputs[:3]]
        moved = _only_user(node.outputs[0], "Transpose")
        result = moved and _only_user(moved.outputs[0], "Reshape")
        if None in merged or result is None or len(result.outputs[0].shape) != 3:
            continue
        heads = {"q_num_heads": node.inputs[0].shape[1], "kv_num_heads": node.inputs[1].shape[1]}
        attention = _insert(node, "Attention", [*merged, *node.inputs[3:]], {**_attributes(node), **heads})
        attention.shape, attention.dtype = result.outputs[0].shape, node.outputs[0].dtype
        ir.convenience.replace_all_uses_with(result.outputs[0], attention)


def first_tokens_only(graph: ir.Graph) -> None:
    """Where only the first token of each row is read, as by a pooler, the last layer computes no others."""
    for node in _nodes(graph, "Gather"):
        tokens, place = node.inputs
        axis = node.attributes["axis"].value if "axis" in node.attributes else 0
        place = ir.convenience.get_const_tensor(place)
        if axis == 1 and place is not None and not place.numpy().any() and _is_sequence(tokens):
            node.replace_input_with(0, _first(tokens, node, _needed_whole(tokens), {}))


def _needed_whole(tokens: ir.Value) -> set[ir.Value]:
    """What the first of `tokens` follows from in all of its tokens: the keys and values that it attends to."""
    looked_at, whole, ahead = set(), set(), [(tokens, False)]
    while ahead:
        value, needed = ahead.pop()
        node = value.producer()
        if value in whole or (value in looked_at and not needed):
            continue
        (whole if needed else looked_at).add(value)
        if node is None:
            continue
        own = _inputs_by_token(node)
        ahead += [(one, needed or one not in own) for one in node.inputs if one is not None]
    return whole


def _first(value: ir.Value, reader: ir.Node, whole: set[ir.Value], done: dict[ir.Value, ir.Value]) -> ir.Value:
    """(B, 1, D) of `value` (B, L, D), for `reader`: nodes for it are put in front of `reader`."""
    if value in done:
        return done[value]
    node = value.producer()
    own = [] if node is None or value in whole else _inputs_by_token(node)
    if not own:
        done[value] = _sliced(value, 1, reader)
        return done[value]
    inputs = [_first(one, reader, whole, done) if one in own else one for one in node.inputs]
    if node.op_type == "Attention" and len(inputs) > 3:
        inputs[3] = _sliced(inputs[3], 2, reader)
    done[value] = _insert(reader, node.op_type, inputs, _attributes(node), like=value)
    done[value].shape = ir.Shape([value.shape[0], 1, value.shape[2]])
    return done[value]


def _inputs_by_token(node: ir.Node) -> list[ir.Value]:
    """Those inputs (B, L, D) of which each token changes no other token of the output; none of another operator."""
    sequences = [one for one in node.inputs if one is not None and _is_sequence(one)]
    others = [one for one in node.inputs if one not in sequences]
    if node.op_type == "Attention":
        return sequences[:1] if len(sequences) == 3 else []
    if node.op_type == "MatMul":
        return sequences[:1] if node.inputs[0] in sequences and _is_constant(node.inputs[1]) else []
    same = all(_is_constant(one) and len(one.shape) <= 1 for one in others)
    return sequences if node.op_type in BY_TOKEN and same else []


def add_before_norms(graph: ir.Graph) -> None:
    """Says Sum for the Add in front of a norm: onnxruntime would join Add and norm in one operator, a third as fast."""
    for node in _nodes(graph, "LayerNormalization"):
        added = node.inputs[0].producer()
        if added is not None and added.op_type == "Add":
            node.replace_input_with(0, _insert(added, "Sum", added.inputs, {}, like=added.outputs[0]))
            ir.convenience.replace_all_uses_with(added.outputs[0], node.inputs[0])


def masks_only_with_padding(graph: ir.Graph) -> None:
    """Attention goes without its mask where that masks nothing in the whole batch: a mask costs half of its time."""
    conditions = {}
    for node in _nodes(graph, "Attention"):
        if len(node.inputs) != 4 or node.inputs[3].dtype != ir.DataType.BOOL:
            continue
        mask, result = node.inputs[3], node.outputs[0]
        if mask not in conditions:
            numbers = _insert(node, "Cast", [mask], {"to": ir.DataType.INT32})
            least = _insert(node, "ReduceMin", [numbers], {"keepdims": 0})
            conditions[mask] = _insert(node, "Cast", [least], {"to": ir.DataType.BOOL})
        branches = {
            "then_branch": _branch(node, node.inputs[:3], "without_mask"),
            "else_branch": _branch(node, node.inputs, "with_mask"),
        }
        chosen = _insert(node, "If", [conditions[mask]], branches, like=result)
        ir.convenience.replace_all_uses_with(result, chosen)
        graph.remove(node, safe=True)


def _branch(node: ir.Node, inputs: Sequence[ir.Value], name: str) -> ir.Graph:
    """A graph of an If: `node` with these inputs."""
    result = ir.Value(
        name=f"{node.outputs[0].name}_{name}", shape=node.outputs[0].shape, type=ir.TensorType(node.outputs[0].dtype)
    )
    copy = ir.node("Attention", inputs, attributes=_attributes(node), outputs=[result])
    return ir.Graph([], [result], nodes=[copy], name=name)


def _before_heads(value: ir.Value) -> ir.Value | None:
    """(B, L, heads * D) of which `value` (B, heads, L, D) was made, if it was."""
    moved = value.producer()
    if moved is None or moved.op_type != "Transpose" or tuple(moved.attributes["perm"].value) != HEADS_FIRST:
        return None
    parted = moved.inputs[0].producer()
    if parted is None or parted.op_type != "Reshape":
        return None
    source, (_, heads, _, size) = parted.inputs[0], value.shape
    return source if len(source.shape) == 3 and source.shape[2] == heads * size else None


def _only_user(value: ir.Value, kind: str) -> ir.Node | None:
    users = list(value.consumers())
    return users[0] if len(users) == 1 and users[0].op_type == kind else None


def _is_sequence(value: ir.Value) -> bool:
    """Whether it is (B, L, D)."""
    return not _is_constant(value) and value.shape is not None and len(value.shape) == 3


def _is_constant(value: ir.Value) -> bool:
    return ir.convenience.get_const_tensor(value) is not None


def _sliced(value: ir.Value, axis: int, before: ir.Node) -> ir.Value:
    """The first of `value` along `axis`, which is kept."""
    places = [_insert(before, "Constant", [], {"value_ints": [number]}) for number in (0, 1, axis)]
    result = _insert(before, "Slice", [value, *places], {}, like=value)
    result.shape = ir.Shape([1 if place == axis else size for place, size in enumerate(value.shape)])
    return result


def _nodes(graph: ir.Graph, kind: str) -> list[ir.Node]:
    return [node for node in graph if node.op_type == kind]


def _attributes(node: ir.Node) -> dict:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _insert(before: ir.Node, kind: str, inputs: Sequence, attributes: dict, like: ir.Value | None = None) -> ir.Value:
    """The output of a new node in front of `before`."""
    node = ir.node(kind, list(inputs), attributes=attributes)
    before.graph.insert_before(before, node)
    if like is not None:
        node.outputs[0].shape, node.outputs[0].dtype = like.shape, like.dtype
    return node.outputs[0]
