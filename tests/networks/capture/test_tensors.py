"""Tensors of a graph: those that nothing reads go, under every name that they have."""

import torch
from torch import fx, nn

from evo_qnas.networks.capture.tensors import drop_unread


def test_tensors_that_no_node_reads_go_under_all_their_names() -> None:
    root = nn.Module()
    root.read, root.layer = nn.Parameter(torch.ones(2)), nn.Linear(2, 2)
    root.first = root.second = nn.Parameter(torch.zeros(2))
    root.register_buffer("one", torch.zeros(3))
    root.register_buffer("other", root.one)
    graph = fx.Graph()
    graph.output(graph.call_function(torch.add, (graph.get_attr("read"), 1)))
    module = fx.GraphModule(root, fx.Graph())
    for name in ("read", "first", "second"):
        setattr(module, name, getattr(root, name))
    for name in ("one", "other"):
        module.register_buffer(name, root.one)
    module.layer = root.layer
    module.graph = graph
    assert {"read", "first", "second", "one", "other"} < set(module.state_dict())
    drop_unread(module)
    assert set(module.state_dict()) == {"read"}
